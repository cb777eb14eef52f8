import { groupBy } from '../group-by.js';
import type { Connection } from './connection.js';
import type { Layout } from './layout.js';
import { count, plural, short, type Composer } from './statement-composer.js';

interface Maker {
  readonly id: number;
  readonly run: string;
  readonly name: string | null;
  readonly attempt: number;
  readonly status: string;
  readonly started: string;
  readonly ended: string | null;
  readonly size: number;
  readonly context: string;
  readonly hosts: string;
  readonly recorded: number;
  readonly committed: number;
  readonly gaps: number;
}

const MAKERS = `SELECT a.attempt_id AS id, u.uuid AS run, u.name, a.attempt, a.status, a.started, a.ended, a.size, a.context,
  (SELECT json_group_array(DISTINCT l.host) FROM ledger l WHERE l.attempt_id = a.attempt_id) AS hosts,
  (SELECT ifnull(sum(l.recorded), 0) FROM ledger l WHERE l.attempt_id = a.attempt_id) AS recorded,
  (SELECT ifnull(sum(l.committed), 0) FROM ledger l WHERE l.attempt_id = a.attempt_id) AS committed,
  (SELECT count(*) FROM ledger_gaps g WHERE g.attempt_id = a.attempt_id) AS gaps
  FROM attempts a JOIN runs u USING (run_id) WHERE a.attempt_id IN (SELECT value FROM json_each(?)) ORDER BY a.attempt_id`;

/** Which runs made the subject and what it comes from: software, hosts, users; and what is known to be missing of them. */
export function contextSentences(composer: Composer, connection: Connection, layout: Layout): void {
  const { all } = composer.ancestry;
  const unknown = all.filter(([, { attempt }]) => attempt === undefined).map(([node]) => node);
  if (unknown.length > 0) {
    const text = `Of ${plural(unknown.length, 'record')} it is not known which run has made them${composer.listed(unknown)}.`;
    composer.say('missing', 'no-run', text, unknown);
  }
  if (!layout.ours) return;
  const made = groupBy(all, ([, { attempt }]) => attempt);
  const ids = [...made.keys()].filter((id) => id !== undefined);
  const subject = all[0]?.[1].attempt;
  const makers = connection.all<Maker>(MAKERS, JSON.stringify(ids));
  // The one that made the subject first; what is known to be missing is told of each, whatever the limit.
  makers.sort((a, b) => Number(b.id === subject) - Number(a.id === subject) || a.id - b.id);
  makers.forEach((maker, i) => {
    const nodes = (made.get(maker.id) ?? []).map(([node]) => node);
    if (i < Math.max(1, composer.limit)) composer.say('made by', makerId(maker), makerText(maker, nodes.length), nodes);
    const lack = lackText(maker);
    if (lack !== undefined) composer.say('missing', `incomplete ${makerId(maker)}`, lack, nodes);
  });
  const more = makers.slice(Math.max(1, composer.limit));
  if (more.length > 0) {
    const nodes = more.flatMap(({ id }) => (made.get(id) ?? []).map(([node]) => node));
    composer.say('made by', 'more runs', `${plural(more.length, 'more attempt')} of runs made another ${plural(nodes.length, 'record or version', 'records and versions')} of it.`, nodes); // prettier-ignore
  }
}

function makerId({ run, attempt }: Maker): string {
  return `run ${run}.${attempt}`;
}

function title({ run, name, attempt }: Maker): string {
  return `Run ${run.slice(0, 8)}${name === null ? '' : ` (${short(name)})`}${attempt > 1 ? `, attempt ${attempt},` : ''}`;
}

function makerText(maker: Maker, made: number): string {
  const context = parsed(maker.context);
  const hosts = (JSON.parse(maker.hosts) as string[]).sort();
  const argv = Array.isArray(context.argv) ? context.argv.map(String).join(' ') : undefined;
  const { commit, branch } = (context.git ?? {}) as { commit?: unknown; branch?: unknown };
  const { library } = (context.mpi ?? {}) as { library?: unknown };
  const facts = [
    text(context.user, 'user'),
    `${plural(maker.size, 'rank')} on ${hosts.length === 0 ? 'unknown hosts' : hosts.slice(0, 5).map((host) => short(host)).join(', ')}${hosts.length > 5 ? `, … ${count(hosts.length - 5)} more` : ''}`, // prettier-ignore
    argv === undefined ? undefined : `command ${short(argv, 300)}`,
    text(context.cwd, 'in directory'),
    text(commit, 'git commit') === undefined
      ? 'git commit not known'
      : `${text(commit, 'git commit')}${typeof branch === 'string' ? ` (${short(branch)})` : ''}`,
    text(context.braid, 'braid-mpi'),
    text(context.node, 'Node.js'),
    text(library, 'MPI'),
  ].filter((fact) => fact !== undefined);
  // When another was found to have ended says nothing of how long it made records.
  const until = maker.ended === null || maker.status !== 'COMPLETED' ? '' : ` to ${maker.ended.slice(0, 19)}`;
  return `${title(maker)} made ${plural(made, 'record or version', 'records and versions')} of it and its ancestry, from ${maker.started.slice(0, 19)}${until} UTC: ${facts.join('; ')}.`;
}

function lackText(maker: Maker): string | undefined {
  const { status, recorded, committed, gaps } = maker;
  const missing = recorded - committed;
  const parts = [
    status === 'COMPLETED' ? undefined : status === 'RUNNING' ? 'is still running, or was never recovered' : `ended as ${status}`, // prettier-ignore
    missing > 0
      ? `lacks ${count(missing)} of the ${plural(recorded, 'op')} that its ranks are known to have recorded`
      : undefined,
    gaps > 0 ? `has ${plural(gaps, 'gap')} in its ledger, of frames that are lost` : undefined,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : `${title(maker)} ${parts.join(', and ')}: something may be missing.`;
}

function text(value: unknown, word: string): string | undefined {
  return typeof value === 'string' && value !== '' ? `${word} ${short(value, 300)}` : undefined;
}

function parsed(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
