#include <gtest/gtest.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// ZooKeeper's C client formats addresses for its log in one static buffer per process. Two handles
// in one test process race for that text and for nothing else; the library is not ours.
extern "C" const char* __tsan_default_suppressions() { return "race:libzookeeper_mt.so\n"; }
#endif
#endif

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
