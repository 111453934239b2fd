"""An identity provider of SAML 2.0 that can be made to lie: it writes every response by hand and signs it with signxml.

pysaml2's provider is the real one (tests/bot/web/test_saml_providers.py); this one sends what that one never would.
"""

from __future__ import annotations

import base64
import datetime as dt
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import XMLSigner
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from holdpoint.clock import Clock, now_ms

PROTOCOL, ASSERTION = "urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:2.0:assertion"
NAMES = {"p": PROTOCOL, "a": ASSERTION, "ds": "http://www.w3.org/2000/09/xmldsig#"}
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class KeyPair:
    """PEM, both."""

    key: str
    certificate: str


@cache
def key_pair(name: str = "idp", *, begins: int = -2, ends: int = 365) -> KeyPair:
    """A key and a certificate for it, valid from ``begins`` days from now until ``ends``."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins * DAY)
        .not_valid_after(now + ends * DAY)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(private.decode(), made.public_bytes(serialization.Encoding.PEM).decode())


@dataclass(frozen=True)
class Asked:
    """An AuthnRequest as it reached the provider."""

    id: str
    acs_url: str
    audience: str
    relay_state: str
    xml: str

    @classmethod
    def by(cls, url: str) -> Asked:
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        xml = zlib.decompress(base64.b64decode(query["SAMLRequest"][0], validate=True), wbits=-15).decode()
        root = etree.fromstring(xml.encode())
        return cls(
            root.get("ID", ""), root.get("AssertionConsumerServiceURL", ""), root.findtext("a:Issuer", "", NAMES),
            query["RelayState"][0], xml,
        )  # fmt: skip


class Signer(XMLSigner):
    """Signs with SHA-1, too."""

    def check_deprecated_methods(self) -> None:
        pass


@dataclass
class Idp:
    """``says`` replaces what a response says (see `_DEFAULTS`); ``attributes`` are sent beside it. Signs ``signs``.

    ``edits`` changes the tree before it is signed, ``forges`` afterwards.
    """

    entity_id: str = "https://idp.example.com/saml"
    sso_url: str = "https://idp.example.com/sso"
    pair: KeyPair = field(default_factory=key_pair)
    clock: Clock = now_ms
    attributes: dict[str, list[str]] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    signs: tuple[str, ...] = ("assertion",)
    method: SignatureMethod = SignatureMethod.RSA_SHA256
    digest: DigestAlgorithm = DigestAlgorithm.SHA256
    c14n: str = "http://www.w3.org/2001/10/xml-exc-c14n#"
    edits: Callable[[etree._Element], object] = lambda _: None
    forges: Callable[[etree._Element], object] = lambda _: None
    count: int = 0

    def entry(self, *certificates: str, more: str = "") -> str:
        """Its entry in the policy, in one line."""
        given = ", ".join("".join(each.splitlines()[1:-1]) for each in certificates or (self.pair.certificate,))
        return f'{{entity_id: "{self.entity_id}", sso_url: "{self.sso_url}", certificates: [{given}]{more}}}'

    def response(self, asked: Asked) -> etree._Element:
        """The answer to what was asked, signed."""
        self.count += 1
        root = etree.fromstring(_RESPONSE.format(**self._fields(asked)).encode())
        self.edits(root)
        assertion = root.find("a:Assertion", NAMES)
        if "assertion" in self.signs and assertion is not None:
            root.replace(assertion, self.signed(assertion))
        if "response" in self.signs:
            root = self.signed(root)
        self.forges(root)
        return root

    def signed(self, element: etree._Element) -> etree._Element:
        signer = Signer(signature_algorithm=self.method, digest_algorithm=self.digest, c14n_algorithm=self.c14n)
        return signer.sign(
            etree.fromstring(etree.tostring(element)), key=self.pair.key, cert=self.pair.certificate,
            reference_uri=element.get("ID"), id_attribute="ID",
        )  # fmt: skip

    def form(self, asked: Asked) -> dict[str, str]:
        """What its page makes the browser post."""
        return {"SAMLResponse": packed(self.response(asked)), "RelayState": asked.relay_state}

    def _fields(self, asked: Asked) -> Mapping[str, str]:
        now = self.clock()
        attributes = "".join(
            f'<a:Attribute Name="{name}">'
            + "".join(f"<a:AttributeValue>{value}</a:AttributeValue>" for value in values)
            + "</a:Attribute>"
            for name, values in self.attributes.items()
        )
        given = {
            "id": f"_r{self.count}-{now}", "assertion_id": f"_a{self.count}-{now}", "now": stamp(now), "issuer": self.entity_id,
            "destination": asked.acs_url, "recipient": asked.acs_url, "audience": asked.audience, "request": asked.id,
            "begins": stamp(now - 30_000), "ends": stamp(now + 300_000), "confirmed": stamp(now + 300_000),
            "status": "urn:oasis:names:tc:SAML:2.0:status:Success", "name_id": "sam@example.com", "auth": stamp(now),
            "confirmation": "urn:oasis:names:tc:SAML:2.0:cm:bearer", "method": PASSWORD, "session": "",
            "attributes": f"<a:AttributeStatement>{attributes}</a:AttributeStatement>" if attributes else "",
        }  # fmt: skip
        return given | self.says


def stamp(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")  # seven digits, as .NET


def packed(root: etree._Element | bytes) -> str:
    return base64.b64encode(root if isinstance(root, bytes) else etree.tostring(root)).decode()


_RESPONSE = (
    f'<p:Response xmlns:p="{PROTOCOL}" xmlns:a="{ASSERTION}" '
    'ID="{id}" Version="2.0" IssueInstant="{now}" Destination="{destination}" InResponseTo="{request}">'
    "<a:Issuer>{issuer}</a:Issuer>"
    '<p:Status><p:StatusCode Value="{status}"/></p:Status>'
    '<a:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{now}"><a:Issuer>{issuer}</a:Issuer>'
    '<a:Subject><a:NameID>{name_id}</a:NameID><a:SubjectConfirmation Method="{confirmation}">'
    '<a:SubjectConfirmationData InResponseTo="{request}" NotOnOrAfter="{confirmed}" Recipient="{recipient}"/>'
    "</a:SubjectConfirmation></a:Subject>"
    '<a:Conditions NotBefore="{begins}" NotOnOrAfter="{ends}">'
    "<a:AudienceRestriction><a:Audience>{audience}</a:Audience></a:AudienceRestriction></a:Conditions>"
    '<a:AuthnStatement AuthnInstant="{auth}"{session}><a:AuthnContext>'
    "<a:AuthnContextClassRef>{method}</a:AuthnContextClassRef></a:AuthnContext></a:AuthnStatement>"
    "{attributes}</a:Assertion></p:Response>"
)
