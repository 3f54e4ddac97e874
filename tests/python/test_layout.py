"""test_layout.py - rowhouse._lib holds the header's numbers a second time; here the two are held
together, both ways, so that a header that grows fails until the module has followed."""
import ctypes as C
import unittest

import header
from rowhouse import _lib, errors

# The classes for what the header calls so. What is not here the module does not use yet.
ENUMS = {
    "rh_status": (errors.Status, "RH_"), "rh_mode": (_lib.Mode, "RH_MODE_"),
    "rh_optimizer_flag": (_lib.OptimizerFlag, "RH_"), "rh_reduce": (_lib.Reduce, "RH_REDUCE_"),
    "rh_nonfinite": (_lib.Nonfinite, "RH_NONFINITE_"), "rh_fan": (_lib.Fan, "RH_"),
    "rh_nonlinearity": (_lib.Nonlinearity, "RH_"),
    "rh_bag_mode": (_lib.BagMode, "RH_BAG_"), "rh_format": (_lib.Format, "RH_FORMAT_"),
    "rh_source": (_lib.Source, "RH_SOURCE_"),
}
STRUCTS = {
    "rh_config": _lib.Config, "rh_optimizer": _lib.Optimizer, "rh_init": _lib.Init,
    "rh_table_spec": _lib.TableSpec, "struct rh_table_info": _lib.TableInfo,
    "rh_file_info": _lib.FileInfo, "rh_param_spec": _lib.ParamSpec,
    "rh_load_options": _lib.LoadOptions, "rh_load_report": _lib.LoadReport,
    "rh_export_options": _lib.ExportOptions, "rh_bags": _lib.Bags,
    "rh_checkpoint_info": _lib.CheckpointInfo,
}
SCALARS = {
    "int": C.c_int, "uint32_t": C.c_uint32, "uint64_t": C.c_uint64, "int64_t": C.c_int64,
    "size_t": C.c_size_t, "uint8_t": C.c_uint8, "double": C.c_double, "float": C.c_float, "void": None,
}


def is_pointer(kind):
    return kind in (C.c_void_p, C.c_char_p) or (isinstance(kind, type) and hasattr(kind, "contents"))


class Layout(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.values, cls.layout = header.ask_gcc()

    def test_every_enum_has_the_headers_names_and_values(self):
        for name, (kind, prefix) in ENUMS.items():
            constants = header.enums()[name]
            self.assertEqual({prefix + member: int(value) for member, value in
                              kind.__members__.items()},
                             {constant: self.values[constant] for constant in constants}, name)

    def test_every_struct_has_the_headers_size_fields_and_offsets(self):
        for name, kind in STRUCTS.items():
            size, fields = self.layout[name]
            own = {field: (getattr(kind, field).offset, getattr(kind, field).size)
                   for field, _ in kind._fields_}
            self.assertEqual(own, fields, name)
            self.assertEqual([field for field, _ in kind._fields_], list(fields), name)
            self.assertEqual(C.sizeof(kind), size, name)

    def test_every_function_takes_and_returns_what_the_header_says(self):
        declared = header.functions()
        self.assertGreater(len(declared), 60)
        for name, (result, *arguments) in _lib.FUNCTIONS.items():
            self.assertIn(name, declared, "not in rowhouse.h")
            self.agrees(result, declared[name][0], name)
            self.assertEqual(len(arguments), len(declared[name][1]), name)
            for own, c in zip(arguments, declared[name][1]):
                self.agrees(own, c, name)

    def agrees(self, own, c, name):
        if c.endswith("*"):
            self.assertTrue(is_pointer(own), f"{name}: {own} for {c}")
            base = c.replace("const", "").replace("*", "").strip()
            if hasattr(own, "contents") and base in STRUCTS:
                self.assertIs(own._type_, STRUCTS[base], name)
        elif c in ENUMS:
            self.assertIs(own, C.c_int, f"{name}: {c}")
        else:
            self.assertIs(own, SCALARS[c] if c in SCALARS else STRUCTS[c], f"{name}: {c}")

    def test_numbers_that_are_in_no_enum_are_the_headers(self):
        for name in header.NUMBERS:
            self.assertEqual(getattr(_lib, name[len("RH_"):]), self.values[name], name)

    def test_every_status_has_an_exception_and_every_exception_a_text(self):
        for status in errors.Status:
            if status is errors.Status.OK:
                continue
            error = errors.of(status, "a text")
            self.assertIs(error.status, status)
            self.assertIsNot(type(error), errors.Error)
            self.assertEqual(str(error), "a text")

    def test_reading_the_header_misses_nothing(self):
        """The patterns of header.py, against plain counts of what they look for."""
        code = header.text()
        self.assertEqual(len(header.functions()), code.count("RH_API ") + code.count("RH_CHECKED "))
        blocks = len(header.enums()) + len(header.structs())
        self.assertEqual(blocks + code.count('extern "C" {'), code.count("{"))
