#!/usr/bin/env python3
"""All tests of the chart. A name, or a part of one, runs those that have it."""

import sys
import time
import unittest

import behaviour
import objects
import policies
import releases
import running
import values

MODULES = (values, objects, policies, behaviour, releases, running)


def chosen(suite, parts):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from chosen(item, parts)
        elif not parts or any(part in item.id() for part in parts):
            yield item


class Result(unittest.TextTestResult):
    """Counts tests that failed, not the cases inside them."""

    broken = None

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.broken = (self.broken or set()) | {test.id()}

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.broken = (self.broken or set()) | {test.id()}

    addError = addFailure


def main():
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromModule(module) for module in MODULES)
    began = time.monotonic()
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(unittest.TestSuite(chosen(suite, sys.argv[1:])))
    failed = len(result.broken or ())
    skipped = len(result.skipped)
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    # The words that scripts/test.sh counts.
    print(f"ℹ pass {result.testsRun - failed - skipped}\nℹ fail {failed}\nℹ skipped {skipped}")
    print(f"{time.monotonic() - began:.1f} s")
    sys.exit(1 if failed or not result.testsRun else 0)


if __name__ == "__main__":
    main()
