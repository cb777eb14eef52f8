// The addon as one piece: most of the time of a build goes into reading napi.h and mpi.h, and so it goes
// once.
#include "arguments.cc"
#include "collective_methods.cc"
#include "communicator.cc"
#include "communicator_methods.cc"
#include "elements.cc"
#include "errors.cc"
#include "message_methods.cc"
#include "module.cc"
#include "reduction.cc"
#include "reduction_methods.cc"
#include "request.cc"
#include "runtime.cc"
