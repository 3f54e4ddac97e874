#!/usr/bin/python3
import test_package  # noqa: E402
import test_signals  # noqa: E402
import test_surprises  # noqa: E402

if __name__ == "__main__":
    check.main(test_layout, test_module, test_package, test_signals, test_surprises)
