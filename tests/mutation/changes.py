"""Every small change that this tool knows to make in a module: one wrong sign, one lost line.

``changes`` yields them in a stable order. While one is yielded, ``tree`` holds it; afterwards it is
as it was. Texts inside f-strings and docstrings stay: they say, they do not decide. In annotations
only the arguments of calls change (``Meta(ge=0)``), because the rest is for the type checker.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
LOST = (ast.Raise, ast.AugAssign)


@dataclass(frozen=True)
class Change:
    """One change: where it is, in which function ("" for the module's own level), and what."""

    line: int
    function: str
    kind: str
    before: str
    after: str


@dataclass(frozen=True)
class Spot:
    """A node, where it hangs, and what surrounds it."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    function: str
    in_annotation: bool

    def put(self, node: ast.AST) -> None:
        """Hang another node at this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def changes(tree: ast.Module) -> Iterator[Change]:
    """Yield each change while ``tree`` holds it."""
    for spot in list(_spots(tree, "", is_annotation=False)):
        for kind, new in _instead_of(spot):
            spot.put(ast.fix_missing_locations(ast.copy_location(new, spot.node)))
            before, after = _told(spot.node, new)
            line = getattr(before, "lineno", spot.node.lineno)
            yield Change(line, spot.function, kind, _short(before), after)
            spot.put(spot.node)


def _told(old: ast.AST, new: ast.AST) -> tuple[ast.AST, str]:
    for field in ("elts", "keys", "keywords"):
        before, after = getattr(old, field, ()), getattr(new, field, ())
        gone = [each for each in before if all(each is not other for other in after)]
        if gone and type(old) is type(new) and gone[0] is not None:
            return gone[0], "left out"
    return old, _short(new)


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:160]


def _spots(node: ast.AST, function: str, *, is_annotation: bool) -> Iterator[Spot]:
    for field, value in ast.iter_fields(node):
        if isinstance(node, ast.ClassDef) and field == "keywords":
            continue  # Frozen, keyword-only: promises to the type checker.
        if isinstance(value, ast.AST):
            yield from _spot(value, node, field, None, function, is_annotation)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, ast.AST):
                    yield from _spot(each, node, field, index, function, is_annotation)


def _spot(
    node: ast.AST,
    parent: ast.AST,
    field: str,
    index: int | None,
    function: str,
    is_annotation: bool,  # noqa: FBT001  (the recursion hands it on)
) -> Iterator[Spot]:
    is_annotation = is_annotation or field in {"annotation", "returns"}
    if _is_docstring(node) or isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        if isinstance(node, ast.JoinedStr):
            for each in node.values:
                if isinstance(each, ast.FormattedValue):
                    inner = (each.value, each, "value", None)
                    yield from _spot(*inner, function, is_annotation)
        return
    within = function
    if isinstance(parent, ast.FunctionDef) and field == "body":
        within = function if function.endswith(")") else f"{function})"
    if hasattr(node, "lineno"):
        yield Spot(node, parent, field, index, _name(within), is_annotation)
    inner = within
    if isinstance(node, ast.ClassDef | ast.FunctionDef) and not within.endswith(")"):
        inner = f"{within}.{node.name}" if within else node.name
    yield from _spots(node, inner, is_annotation=is_annotation)


def _name(function: str) -> str:
    # "A.b)" is inside of the body of b; "A.b" is its head, which runs when the module is imported.
    return function[:-1] if function.endswith(")") else ""


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _instead_of(spot: Spot) -> Iterator[tuple[str, ast.AST]]:
    node = spot.node
    if spot.in_annotation:
        if isinstance(spot.parent, ast.keyword | ast.Call) and isinstance(node, ast.Constant):
            yield from _constant(node, texts=False)
        return
    if isinstance(node, ast.Constant):
        yield from _constant(node, texts=True)
    elif isinstance(node, ast.stmt):
        yield from _statement(node)
    elif isinstance(node, ast.expr):
        yield from _expression(node)


def _constant(node: ast.Constant, *, texts: bool) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int | float):
        yield "constant", ast.Constant(value + 1)
    elif texts and isinstance(value, str):
        yield "text", ast.Constant(f"other {value}")
    elif isinstance(value, bytes):
        yield "text", ast.Constant(b"other " + value)


def _statement(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.If():
            yield "condition", _with(node, test=ast.Constant(value=False))
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Break():
            yield "loop", ast.Continue()
        case ast.Continue():
            yield "loop", ast.Break()
        case ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield "arithmetic", _with(node, op=ARITHMETIC[type(node.op)]())
    is_lost = isinstance(node, LOST) or (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom | ast.Await)
    )
    if isinstance(node, ast.Assign):
        is_lost = any(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets)
    if is_lost:
        yield "lost statement", ast.If(ast.Constant(value=False), [node], [])


def _expression(node: ast.expr) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare():
            yield from _comparison(node)
        case ast.BoolOp():
            yield "boolean", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "sign", node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield "arithmetic", _with(node, op=ARITHMETIC[type(node.op)]())
        case ast.IfExp():
            yield "choice", node.body
            yield "choice", node.orelse
        case ast.Set() | ast.List() | ast.Dict():
            yield from _without_one(node)
        case ast.Call():
            yield from _call(node)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            yield from _filters(node)


def _comparison(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for place, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield "comparison", _with(node, ops=ops)


def _filters(
    node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
) -> Iterator[tuple[str, ast.AST]]:
    for place, part in enumerate(node.generators):
        if part.ifs:
            parts = list(node.generators)
            parts[place] = _with(part, ifs=[])
            yield "filter", _with(node, generators=parts)


def _without_one(node: ast.Set | ast.List | ast.Dict) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Dict):
        for place in range(len(node.keys)):
            keys = [*node.keys[:place], *node.keys[place + 1 :]]
            values = [*node.values[:place], *node.values[place + 1 :]]
            yield "element", ast.Dict(keys, values)
    elif isinstance(node, ast.List) and not isinstance(node.ctx, ast.Load):
        return
    else:
        for place in range(len(node.elts)):
            elements = [*node.elts[:place], *node.elts[place + 1 :]]
            if elements or isinstance(node, ast.List):
                yield "element", _with(node, elts=elements)


def _call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.func, ast.Name) and node.func.id in NAMES:
        yield "function", _with(node, func=ast.Name(NAMES[node.func.id], ast.Load()))
    for place in range(len(node.keywords)):
        yield "argument", _with(node, keywords=node.keywords[:place] + node.keywords[place + 1 :])


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = type(node)(**{**dict(ast.iter_fields(node)), **fields})
    return ast.copy_location(new, node) if hasattr(node, "lineno") else new
