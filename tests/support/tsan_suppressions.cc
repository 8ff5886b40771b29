// What ThreadSanitizer reports in this project and is not a race. Linked into every test of the tsan lane.
//
// absl::Status counts its references with atomics that are half inlined here, where they are seen, and half in Debian's
// libabsl_status, which is not instrumented: the last holder's release, which orders the others' uses before the
// deletion, stays unseen. Copies of one failed Status in several threads (a space's end, told to each of its streams) are
// then reported as uses that race with the deletion.

extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:absl::*Status::UnrefNonInlined\n"
         "race:absl::*Status::Unref\n"
         "race:absl::*Status::Ref\n";
}
