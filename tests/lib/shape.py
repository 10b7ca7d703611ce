"""shape: says of a JSON value whether it has the expected fields and types, and names each place where not.
Shapes are JSON themselves (see GRAMMAR), so that golden files can hold them."""
import json
import re

GRAMMAR = """
"id" "string" "bool" "int" "null" "timestamp" "token" "session" "endpoint" "object" "list" "any"
             a JSON value of that kind; "id" is a decimal string, "timestamp" has microseconds and +00:00
"kind?"      that, or null
"@name"      the shape of that name in the book of shapes
"$name"      a string; the first one met is remembered under the name, later ones have to be equal
{"=": v}     exactly v, "$name" in it being replaced
{"set": [v]} a list of exactly these values in any order, "$name" in them being replaced
[shape]      a list of any length whose items all have the shape
{"items": [shape, shape]}   a list of exactly these items
{"a": shape, "b?": shape, "...": true}
             an object; b may be missing; fields beyond the named ones only where "..." stands
{"like": "name", "a": shape}
             the object shape of that name in the book, with some fields put in place of its own
"""

PATTERNS = {
    "id": r"[1-9]\d{0,19}",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00",
    "token": r"[0-9a-f]{16}",
    "session": r"[0-9a-f]{32}",
    "endpoint": r"[A-Za-z0-9.-]+:\d{1,5}",
}
KINDS = {
    "string": lambda v: isinstance(v, str),
    "bool": lambda v: isinstance(v, bool),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "null": lambda v: v is None,
    "object": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
    "any": lambda v: True,
}
KINDS |= {name: (lambda v, p=re.compile(pattern): isinstance(v, str) and p.fullmatch(v) is not None)
          for name, pattern in PATTERNS.items()}


def fill(value, names):
    """The value with each "$name" in it replaced by what stands under that name; a key is written "$$name"."""
    if isinstance(value, str) and value.startswith("$"):
        return names[value[1:]]
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    if isinstance(value, dict):
        return {names[key[2:]] if key.startswith("$$") else key: fill(item, names) for key, item in value.items()}
    return value


def same(a, b):
    """Equal as JSON: true is not 1."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 120 else text[:117] + "..."


def faults(value, shape, names=None, book=None, at="value"):
    """A list of sentences, empty when the value has the shape. New "$names" are written into names."""
    names = {} if names is None else names
    book = book or {}
    if isinstance(shape, str):
        return _named(value, shape, names, book, at)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} should be a list, is {short(value)}"]
        return [f for i, item in enumerate(value) for f in faults(item, shape[0], names, book, f"{at}[{i}]")]
    if "=" in shape:
        wanted = fill(shape["="], names)
        return [] if same(value, wanted) else [f"{at} should be {short(wanted)}, is {short(value)}"]
    if "set" in shape:
        wanted = fill(shape["set"], names)
        fits = isinstance(value, list) and same(sorted(map(json.dumps, value)), sorted(map(json.dumps, wanted)))
        return [] if fits else [f"{at} should be {short(wanted)} in any order, is {short(value)}"]
    if "items" in shape:
        wanted = shape["items"]
        if not isinstance(value, list) or len(value) != len(wanted):
            return [f"{at} should be a list of {len(wanted)}, is {short(value)}"]
        return [f for i, inner in enumerate(wanted) for f in faults(value[i], inner, names, book, f"{at}[{i}]")]
    return _object(value, _merged(shape, book), names, book, at)


def _merged(shape, book):
    if "like" not in shape:
        return shape
    own = {key: inner for key, inner in shape.items() if key != "like"}
    return _merged(book[shape["like"]], book) | own


def _named(value, shape, names, book, at):
    if shape.startswith("@"):
        return faults(value, book[shape[1:]], names, book, at)
    if shape.startswith("$"):
        if not isinstance(value, str):
            return [f"{at} should be a string, is {short(value)}"]
        wanted = names.setdefault(shape[1:], value)
        return [] if value == wanted else [f"{at} should be {wanted!r} ({shape}), is {value!r}"]
    if shape.endswith("?"):
        return [] if value is None else _named(value, shape[:-1], names, book, at)
    return [] if KINDS[shape](value) else [f"{at} should be of kind {shape}, is {short(value)}"]


def _object(value, shape, names, book, at):
    if not isinstance(value, dict):
        return [f"{at} should be an object, is {short(value)}"]
    found = []
    known = set()
    for key, inner in shape.items():
        if key == "...":
            continue
        name = key.removesuffix("?")
        known.add(name)
        if name in value:
            found += faults(value[name], inner, names, book, f"{at}.{name}")
        elif not key.endswith("?"):
            found.append(f"{at}.{name} is missing")
    if "..." not in shape:
        found += [f"{at}.{name} is not expected, holds {short(value[name])}" for name in value if name not in known]
    return found


def check(value, shape, names=None, book=None, at="value"):
    found = faults(value, shape, names, book, at)
    assert not found, "\n  ".join(["the shape is not as expected:"] + found)
