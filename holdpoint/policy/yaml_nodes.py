"""YAML text → a bounded tree of nodes that know their lines. Nothing is constructed, no tag is obeyed. Pure."""

from __future__ import annotations

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdpoint.errors import Problem

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 500_000  # aliases written out

# libyaml where PyYAML was built with it: ten times faster, the same nodes.
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadYaml(ValueError):
    """The text is not one bounded YAML document. Carries the problem."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.problem = Problem(message, line)


def compose(text: str) -> Node:
    """The root of the one document in ``text``.

    Raises:
        BadYaml: it is too large, too deep, empty, several, or not YAML.
    """
    if len(text.encode("utf-8", "replace")) > MAX_DOCUMENT_BYTES:
        raise BadYaml(f"the document is larger than {MAX_DOCUMENT_BYTES // 1024 // 1024} MiB")
    try:
        # The parser keeps its own stack, the composer recurses: look at the depth before composing.
        _check_events(text)
        root: Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadYaml(f"is not valid YAML: {said}", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:  # unreadable characters: the reader names a position only
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
        raise BadYaml("is not valid YAML: it contains a character that YAML does not allow", line) from None
    except UnicodeEncodeError:
        raise BadYaml("is not valid YAML: it contains half of a surrogate pair") from None
    if root is None or (isinstance(root, ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
        raise BadYaml("the document is empty: an empty policy would refuse everything")
    _check_size(root)
    return root


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadYaml(f"is nested deeper than {MAX_DEPTH} levels", _line(event))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise BadYaml("holds several documents (---): a policy is one", _line(event))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _check_size(root: Node) -> None:
    """Bound the tree with its aliases written out; what contains itself has no end."""
    _measure(root, {}, set())


def _measure(node: Node, measured: dict[int, tuple[int, int]], open_nodes: set[int]) -> tuple[int, int]:
    """Size and height. An alias points backwards, so the recursion is no deeper than the text."""
    line = node.start_mark.line + 1
    if id(node) in open_nodes:
        raise BadYaml("an alias refers to something that contains it", line)
    if id(node) in measured:
        return measured[id(node)]
    open_nodes.add(id(node))
    inside = [_measure(child, measured, open_nodes) for child in children(node)]
    open_nodes.discard(id(node))
    size = 1 + sum(size for size, _ in inside)
    height = 1 + max((height for _, height in inside), default=0)
    if size > MAX_NODES:
        raise BadYaml(f"is larger than {MAX_NODES} values, aliases written out", line)
    if height > MAX_DEPTH:
        raise BadYaml(f"is nested deeper than {MAX_DEPTH} levels, aliases written out", line)
    measured[id(node)] = size, height
    return size, height


def children(node: Node) -> list[Node]:
    """What stands directly inside a node: the items of a list, the keys and values of a mapping."""
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    if isinstance(node, SequenceNode):
        return list(node.value)
    return []
