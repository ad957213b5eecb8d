"""CPython's own tests of shared memory (Debian: libpython3.11-testsuite), with our classes in place
of theirs. Usage: py_cpython_suite.py START-METHOD; exits with 77 where the tests are not installed.

Other processes of a test run this file, too (as __mp_main__): they are patched in the same way.
"""
import sys
import unittest
from multiprocessing import shared_memory

import mappingfs

shared_memory.SharedMemory = mappingfs.SharedMemory
shared_memory.ShareableList = mappingfs.ShareableList
mappingfs._make_filename = lambda: shared_memory._make_filename()  # tests replace the latter

NOT_OURS = {
    "test_shared_memory_cleaned_after_process_termination":
        "that the resource tracker unlinks and warns: we have none; lifetime='temporary' instead",
    "test_shared_memory_SharedMemoryManager_reuses_resource_tracker":
        "runs an isolated interpreter, where nothing is patched, and looks at the tracker's words",
    "test_shared_memory_untracking":
        "of 3.13: what the tracker does not do with track=False",
    "test_shared_memory_tracking":
        "of 3.13: what the tracker does with track=True",
}


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite()
    for test in loader.loadTestsFromTestCase(WithProcessesTestSharedMemory):
        name = test.id().rsplit(".", 1)[-1]
        if name in NOT_OURS:
            print(f"left out: {name}: {NOT_OURS[name]}")
        else:
            suite.addTest(test)
    return suite


try:
    from test import _test_multiprocessing as theirs
except ImportError:
    print("CPython's tests are not installed")
    sys.exit(77)

if __name__ == "__main__":
    theirs.install_tests_in_module_dict(globals(), sys.argv[1])
    assert theirs.shared_memory.SharedMemory is mappingfs.SharedMemory
    program = unittest.main(argv=sys.argv[:1], exit=False)
    if program.result.testsRun < 5:
        sys.exit("too few tests were run")
    sys.exit(not program.result.wasSuccessful())
