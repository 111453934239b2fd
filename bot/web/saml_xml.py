"""XML that anybody may have posted, and the element of it that is signed. Pure; the only user of signxml and lxml.

After XML Signature (W3C) and its best practices: what counts is what the signature covers, read from the bytes that were
digested, and never what stands around it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from holdpoint.errors import BadToken

Element: TypeAlias = etree._Element  # noqa: SLF001 - lxml has no other name for it

LONGEST = 256 * 1024  # of the text, in base64
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
# Canonical XML takes time that grows with their product, before anything is known to be signed.
_MOST_NAMESPACES = 64  # that count at one place
_MOST_ATTRIBUTES = 64
_LONGEST_ATTRIBUTE = 4096
_MOST_IN_SIGNATURE = 128
_MOST_ELEMENTS = 5_000  # among them one for each group
# Asymmetric all of them; SHA-1 and SHA-224 do not count.
_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.SHA384_RSA_MGF1, SignatureMethod.SHA512_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512,
    }
)  # fmt: skip
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


def parsed(text: str) -> Element:
    """The root of base64 of XML, without comments: text on both sides of one is one text.

    Raises:
        BadToken: it is none, has a document type, or is too large in some way.
    """
    if len(text) > LONGEST:
        raise BadToken("the response is too large")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(base64.b64decode("".join(text.split()), validate=True), parser)
    except (binascii.Error, ValueError, etree.XMLSyntaxError):
        raise BadToken("the response is no XML") from None
    if root.getroottree().docinfo.doctype:
        raise BadToken("the response has a document type")
    _check_shape(root)
    return root


def verified(root: Element, place: str, certificates: Sequence[str], *, now_ms: int) -> Element:
    """What the signature below ``place`` (the path of its parent, with a slash) covers, as it was signed.

    ``certificates`` are PEM; whatever the signature says of keys and certificates itself counts for nothing.

    Raises:
        BadToken: it is not signed by the key of any of them, or none is valid now.
    """
    config = SignatureConfiguration(
        location=place,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        ignore_ambiguous_key_info=True,
        verification_time=datetime.fromtimestamp(now_ms / 1000, UTC),
    )
    raw = etree.tostring(root)
    for certificate in certificates:
        try:
            result = XMLVerifier().verify(raw, x509_cert=certificate, expect_config=config, id_attribute="ID")
        except (SignXMLException, etree.LxmlError, ValueError, TypeError):
            continue  # TypeError: the schema of signatures lets elements be empty, and signxml does not
        if isinstance(result, VerifyResult) and result.signed_xml is not None:
            return result.signed_xml
    raise BadToken("the response is not signed by a certificate of the policy that is valid now")


def text_of(element: Element) -> str:
    """All of the text, also what stands behind a comment."""
    return "".join(str(piece) for piece in element.itertext()).strip()


def _check_shape(root: Element) -> None:
    """Raise BadToken for what nobody sends but to keep us busy."""
    namespaces = elements = 0
    for event, node in etree.iterwalk(root, events=("start-ns", "end-ns", "start")):
        if event == "start":
            elements += 1
            if elements > _MOST_ELEMENTS:
                raise BadToken("the response has too many elements")
            attributes = node.attrib.values()
            if len(attributes) > _MOST_ATTRIBUTES or any(len(each) > _LONGEST_ATTRIBUTE for each in attributes):
                raise BadToken("the response has too many attributes")
            if node.tag == SIGNATURE and sum(1 for _ in node.iter()) > _MOST_IN_SIGNATURE:
                raise BadToken("the response has too large a signature")
        else:
            namespaces += 1 if event == "start-ns" else -1
            if namespaces > _MOST_NAMESPACES:
                raise BadToken("the response has too many namespaces")
