"""header.py - what rowhouse.h declares, told by gcc: every enum's values, every public struct's size
and the offset and size of its fields. And the functions, by their prototypes."""
import os
import re
import subprocess
import tempfile

PATH = "worker/rowhouse.h"
NUMBERS = "RH_NO_PADDING", "RH_CURSOR_MAX", "RH_PARAM_DIMS_MAX"


def text():
    """The header without comments, preprocessor lines and attributes."""
    with open(PATH) as file:
        source = re.sub(r"/\*.*?\*/|//[^\n]*", " ", file.read(), flags=re.S)
    return re.sub(r"^#.*(?:\\\n.*)*$", "", source, flags=re.M)


def enums():
    """{enum: [constants]}"""
    found = re.findall(r"typedef enum (\w+) \{(.*?)\} \w+;", text(), flags=re.S)
    return {name: re.findall(r"\bRH_\w+", body) for name, body in found}


def structs():
    """{C type: [fields]} of the structs that a caller can see into."""
    found = re.findall(r"^(typedef )?struct (\w+) \{(.*?)\}", text(), flags=re.S | re.M)
    return {name if typedef else f"struct {name}":
            re.findall(r"(\w+)\s*(?:\[\w+\]\s*)?;", body) for typedef, name, body in found}


def functions():
    """{function: (return type, [argument types])}"""
    found = re.findall(r"RH_(?:API|CHECKED)\s+([\w\s*]+?)\b(rh_\w+)\s*\(([^)]*)\)\s*;", text())
    return {name: (result.strip(), [strip_name(a) for a in arguments.split(",") if a.strip() != "void"])
            for result, name, arguments in found}


def strip_name(argument):
    """"const uint64_t *ids" is "const uint64_t *"."""
    return re.sub(r"\w+$", "", " ".join(argument.split())).strip()


def ask_gcc():
    """({constant: value}, {C type: (size, {field: (offset, size)})})"""
    lines = []
    for constants in (*enums().values(), NUMBERS):
        lines += [f'printf("value {name} %lld\\n", (long long){name});' for name in constants]
    for kind, fields in structs().items():
        lines.append(f'printf("size %zu {kind}\\n", sizeof({kind}));')
        lines += [f'printf("field {name} %zu %zu {kind}\\n", offsetof({kind}, {name}), '
                  f"sizeof((({kind} *)0)->{name}));" for name in fields]
    program = '#include <stdio.h>\n#include "rowhouse.h"\nint main(void) {\n%s\n}\n' % "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "layout")
        subprocess.run(["gcc", "-std=c11", "-Iworker", "-x", "c", "-", "-o", binary], input=program,
                       text=True, check=True)
        said = subprocess.run([binary], stdout=subprocess.PIPE, text=True, check=True).stdout
    values, layout = {}, {}
    for words in map(str.split, said.splitlines()):
        if words[0] == "value":
            values[words[1]] = int(words[2])
        elif words[0] == "size":
            layout[" ".join(words[2:])] = (int(words[1]), {})
        else:
            layout[" ".join(words[4:])][1][words[1]] = (int(words[2]), int(words[3]))
    return values, layout
