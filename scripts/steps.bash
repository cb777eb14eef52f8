# What the scripts say while they work: everything on standard error, with the seconds since they began.
# To be sourced.

say() { printf '[%3d s] %s\n' "$SECONDS" "$*" >&2; }

fail() {
  printf '\n%s\n' "$*" >&2
  exit 1
}

# step TITLE COMMAND…  Runs a command that may take long. Its output is shown only if it fails; a line now and then
# says that it lives, and what it said last.
step() {
  local title=$1 log status=0 heart
  shift
  log=$(mktemp)
  say "$title …"
  {
    # Short naps that hold nobody's standard output: whoever reads ours need not wait for the last one.
    naps=0
    while sleep 1 <&- >&- 2>&-; do
      ((++naps % 10)) || say "  still at it: $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-90)"
    done
  } &
  heart=$!
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$heart" 2>/dev/null || true
  wait "$heart" 2>/dev/null || true
  if ((status != 0)); then
    printf '\n' >&2
    tail -n 40 "$log" >&2
    printf '\n' >&2
    say "$title: failed with code $status. All of its output is in $log"
    return "$status"
  fi
  rm -f "$log"
}

have() { command -v "$1" >/dev/null 2>&1; }

# launcher_of VENDOR  Prints the mpiexec that starts ranks of it; the plain name is some vendor's and says so itself.
launcher_of() {
  local names says name
  case $1 in
    openmpi) names='mpiexec.openmpi mpiexec' says='Open MPI|OpenRTE|PRRTE' ;;
    mpich) names='mpiexec.mpich mpiexec.hydra mpiexec' says='HYDRA|MPICH' ;;
    *) return 1 ;;
  esac
  for name in $names; do
    if have "$name" && "$name" --version 2>&1 </dev/null | grep -Eq "$says"; then
      printf '%s\n' "$name"
      return 0
    fi
  done
  return 1
}
