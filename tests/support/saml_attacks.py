"""Signature wrapping: what was signed is moved, and something else stands where it is looked for.

Numbered as in "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, USENIX Security 2012) and in the tools
that came after it. Each takes a signed response that names Sam, and gives one that is meant to name Ada.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from lxml import etree

from tests.support.saml import NAMES, PROTOCOL, Idp

Element = etree._Element
DS = "{http://www.w3.org/2000/09/xmldsig#}"


def evil(element: Element) -> Element:
    """A copy without signatures, of another id, that names an admin."""
    copy = deepcopy(element)
    for signature in copy.findall(".//ds:Signature", NAMES):
        signature.getparent().remove(signature)
    for each in (copy, *copy.findall("a:Assertion", NAMES)):
        each.set("ID", "_evil" + each.get("ID", ""))
    name = copy.find(".//a:NameID", NAMES)
    assert name is not None
    name.text = "ada@example.com"
    return copy


def _parts(root: Element) -> tuple[Element, Element]:
    """The assertion, and its signature."""
    assertion = root.find("a:Assertion", NAMES)
    assert assertion is not None
    signature = assertion.find("ds:Signature", NAMES)
    assert signature is not None
    return assertion, signature


def _taken(signature: Element) -> Element:
    signature.getparent().remove(signature)
    return signature


def _object(signature: Element) -> Element:
    return etree.SubElement(signature, f"{DS}Object")


def _first(root: Element) -> Element:
    """Extensions, where anything may stand."""
    extensions = etree.Element(f"{{{PROTOCOL}}}Extensions")
    root.insert(1, extensions)
    return extensions


def xsw1(root: Element) -> Element:
    """The evil response has the signature, and in it the response that was signed."""
    made, signature = evil(root), _taken(root.find("ds:Signature", NAMES))
    made.insert(1, signature)
    _object(signature).append(root)
    return made


def xsw2(root: Element) -> Element:
    """The evil response has the signature, and beside it the response that was signed."""
    made, signature = evil(root), _taken(root.find("ds:Signature", NAMES))
    made.insert(1, root)
    made.insert(2, signature)
    return made


def xsw3(root: Element) -> Element:
    """An evil assertion before the signed one."""
    assertion, _ = _parts(root)
    assertion.addprevious(evil(assertion))
    return root


def xsw3_after(root: Element) -> Element:
    assertion, _ = _parts(root)
    assertion.addnext(evil(assertion))
    return root


def xsw4(root: Element) -> Element:
    """An evil assertion around the signed one."""
    assertion, _ = _parts(root)
    made = evil(assertion)
    root.replace(assertion, made)
    made.append(assertion)
    return root


def xsw5(root: Element) -> Element:
    """The evil assertion has the signature; the signed one stands at the end."""
    assertion, signature = _parts(root)
    made = evil(assertion)
    root.replace(assertion, made)
    made.insert(1, _taken(signature))
    root.append(assertion)
    return root


def xsw6(root: Element) -> Element:
    """The evil assertion has the signature, and in it the signed one."""
    assertion, signature = _parts(root)
    made = evil(assertion)
    root.replace(assertion, made)
    made.insert(1, _taken(signature))
    signature.append(assertion)
    return root


def xsw7(root: Element) -> Element:
    """An evil assertion in the extensions, of the same id."""
    assertion, _ = _parts(root)
    made = evil(assertion)
    made.set("ID", assertion.get("ID"))
    _first(root).append(made)
    return root


def xsw8(root: Element) -> Element:
    """The evil assertion has the signature, and the signed one in an object of it."""
    assertion, signature = _parts(root)
    made = evil(assertion)
    root.replace(assertion, made)
    made.insert(1, _taken(signature))
    _object(signature).append(assertion)
    return root


def in_assertion(root: Element, idp: Idp) -> Element:
    """An evil assertion has the signature of what the provider has published: its metadata."""
    return _published(root, idp, "a:Assertion")


def in_response(root: Element, idp: Idp) -> Element:
    return _published(root, idp, ".")


def _published(root: Element, idp: Idp, place: str) -> Element:
    metadata = etree.Element("{urn:oasis:names:tc:SAML:2.0:metadata}EntityDescriptor", ID="_m", entityID=idp.entity_id)
    signed, made = idp.signed(metadata), evil(root)
    made.find(place, NAMES).append(_taken(signed.find("ds:Signature", NAMES)))
    _first(made).append(signed)
    return made


WRAPPED: dict[str, tuple[str, Callable[[Element], Element]]] = {
    "XSW1": ("response", xsw1),
    "XSW2": ("response", xsw2),
    "XSW3": ("assertion", xsw3),
    "XSW3, the other way round": ("assertion", xsw3_after),
    "XSW4": ("assertion", xsw4),
    "XSW5": ("assertion", xsw5),
    "XSW6": ("assertion", xsw6),
    "XSW7": ("assertion", xsw7),
    "XSW8": ("assertion", xsw8),
}
