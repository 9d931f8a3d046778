"""A reader of stores that knows what docs/reference/formats.md says, and nothing of the code."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.format_tables import Fields, Page

ZEROS = bytes(32)
DATA, TREE = 1, 2
_DOCUMENTS = {"sessions", "journal", "collector"}


class StoreByPage:
    """The objects of a store, by key, opened with the page's own tables."""

    def __init__(self, page: Page, objects: Mapping[str, bytes]) -> None:
        self.page = page
        self.objects = objects
        self.header = page.parse_document("header", objects["store"])
        self.store_id = bytes.fromhex(self.header["store_id"])
        self.key = b""
        # By the domain's tag, the digest and the kind.
        self.chunks: dict[tuple[bytes, bytes, int], bytes] = {}
        self.entries: dict[bytes, list[Fields]] = {}

    # --- keys ---

    def unlock(self, secret: bytes, kind: str) -> bytes:
        """The store's key out of the one slot of this kind."""
        keys = self.below("slots/")
        slots = {key: self.page.parse_document("key slot", self.objects[key]) for key in keys}
        ((key, slot),) = [(key, slot) for key, slot in slots.items() if slot["kind"] == kind]
        salt = bytes.fromhex(slot["salt"])
        if kind == "passphrase":
            wrapping = hashlib.scrypt(secret, salt=salt, n=slot["cost"], r=8, p=1, dklen=32)
        else:
            wrapping = self._derived("slot", salt + secret)
        bound = self.store_id + key.encode()
        self.key = _open(wrapping, 0, bytes.fromhex(slot["wrapped"]), bound)
        return self.key

    def chunk_key(self, domain: str, kind: int) -> bytes:
        return self.derive("chunk", bytes([kind]) + domain.encode())

    def tag(self, domain: str) -> bytes:
        return self.derive("tag", domain.encode())[:8]

    def derive(self, name: str, behind: bytes) -> bytes:
        return self._derived(name, self.key + behind)

    def _derived(self, name: str, material: bytes) -> bytes:
        (context,) = [row["context"] for row in self.page.lists["key"] if row["key"] == name]
        return blake3(material, derive_key_context=context.strip("`")).digest()

    # --- objects ---

    def below(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def row_of(self, key: str) -> dict[str, str]:
        """What the page says about an object of this key."""
        rows = [row for row in self.page.lists["key"] if "holds" in row]
        (found,) = [row for row in rows if _pattern(row["key"]).fullmatch(key)]
        return found

    def mac_of(self, key: str) -> str:
        """What the field `mac` of an object in plain text has to be."""
        text = re.sub(rb'"mac":"[0-9a-f]*",', b"", self.objects[key])
        return blake3(key.encode() + b"\0" + text, key=self.derive("plain", b"")).hexdigest()

    def payload(self, key: str) -> bytes:
        """What is sealed in a small object."""
        fields = self.page.parse("small object", self.objects[key])
        assert fields.raw("kind").decode() == self.row_of(key)["kind"].strip("`")
        bound = self.objects[key][:40] + self.store_id + key.encode()
        return _open(self.derive("object", fields.raw("salt")), 0, fields.raw("sealed"), bound)

    def document(self, key: str) -> dict[str, Any]:
        return self.page.parse_document(self.row_of(key)["holds"], self.payload(key))

    def records(self, key: str) -> Fields:
        return self.page.parse(self.row_of(key)["holds"], self.payload(key))

    def read_all(self) -> None:
        """Take apart everything but the packs, nodes of trees too."""
        for key in self.objects:
            if self.row_of(key)["kind"] and not key.startswith("packs/"):
                read = self.document if key.split("/")[0] in _DOCUMENTS else self.records
                read(key)
            elif key.startswith("slots/"):
                self.page.parse_document("key slot", self.objects[key])
        for chunk in [one for (_, _, kind), one in self.chunks.items() if kind == TREE]:
            if chunk.startswith(b"CZIT"):
                self.page.parse("image node", chunk)
            else:
                self._records(self.page.parse("file tree node", chunk))

    def chain_of(self, prefix: str) -> list[str]:
        """What the field `previous` of each object has to be."""
        digests = [blake3(self.objects[key]).hexdigest() for key in self.below(prefix)]
        return ["", *digests[:-1]]

    # --- packs ---

    def open_packs(self, domains: list[str]) -> None:
        """Take all packs apart: every blob, and the footer that must say the same."""
        for key in self.below("packs/"):
            self._open_pack(key, {self.tag(domain): domain for domain in domains})

    def _open_pack(self, key: str, domains: dict[bytes, str]) -> None:
        data = self.objects[key]
        pack = self.page.parse("pack", data)
        cipher = self.derive("pack", pack.raw("salt"))
        bound = data[:40] + self.store_id + key.encode()
        footer = _open(cipher, 0xFFFFFFFF, pack.raw("footer"), bound + data[-16:])
        entries = self.page.parse_list("pack entry", footer)
        blobs = pack.parts("blobs")
        assert len(blobs) == len(entries) == pack.number("count")
        for ordinal, (blob, entry) in enumerate(zip(blobs, entries, strict=True)):
            assert blob.number("ordinal") == ordinal
            assert all(blob[name] == entry[name] for name in entry.keys() & blob.keys())
            at = entry.number("offset")
            stored = _open(cipher, ordinal, blob.raw("sealed"), bound + data[at : at + 60])
            self._keep(blob, stored, domains[blob.raw("domain_tag")])
        self.entries[bytes.fromhex(key[-32:])] = entries

    def _keep(self, blob: Fields, stored: bytes, domain: str) -> None:
        kind, digest = blob.number("kind"), blob.raw("digest")
        chunk = zstandard.decompress(stored) if blob.number("codec") else stored
        assert len(chunk) == blob.number("plain_bytes")
        assert blake3(chunk, key=self.chunk_key(domain, kind)).digest() == digest
        self.chunks[blob.raw("domain_tag"), digest, kind] = chunk

    def chunk(self, domain: str, digest: bytes, kind: int = DATA) -> bytes:
        return self.chunks[self.tag(domain), digest, kind]

    # --- trees ---

    def image_chunks(self, domain: str, root: dict[str, Any]) -> dict[int, bytes]:
        """The chunks of an image that are not zeros, by their number."""
        nodes = [(0, bytes.fromhex(root["tree_digest"]))]
        for level in reversed(range(root["depth"])):
            nodes = [
                (number * 1024 + place, below)
                for number, digest in nodes
                for place, below in enumerate(self._image_node(domain, digest, level))
                if below != ZEROS
            ]
        return {number: self.chunk(domain, digest) for number, digest in nodes}

    def _image_node(self, domain: str, digest: bytes, level: int) -> list[bytes]:
        node = self.page.parse("image node", self.chunk(domain, digest, TREE))
        assert node.number("level") == level
        digests = node.raw("digests")
        return [digests[at : at + 32] for at in range(0, len(digests), 32)]

    def records_of(self, domain: str, digest: bytes, level: int | None = None) -> list[Fields]:
        """The records of a node of a tree of files, of all nodes below where there are some."""
        if digest == ZEROS:
            return []
        node = self.page.parse("file tree node", self.chunk(domain, digest, TREE))
        found = node.number("level")
        assert level is None or found == level
        records = self._records(node)
        if not found:
            return records
        below = [self.records_of(domain, one.raw("digest"), found - 1) for one in records]
        if "name" in records[0]:
            assert [one["name"] for one in records] == [part[0]["name"] for part in below]
        else:
            lengths = [sum(one.number("length") for one in part) for part in below]
            assert [one["length"] for one in records] == lengths
        return [one for part in below for one in part]

    def _records(self, node: Fields) -> list[Fields]:
        level = {"any", "above" if node.number("level") else "0"}
        (found,) = [
            row["records"]
            for row in self.page.lists["type"]
            if row["type"].startswith(str(node.number("type"))) and row["level"] in level
        ]
        records = self.page.parse_list(found.removeprefix("list of "), node.raw("records"))
        assert len(records) == node.number("count")
        if found == "list of directory entry":
            assert sum(one.number("length") for one in records) == len(node.raw("records"))
        return records

    def file_content(self, domain: str, entry: Fields) -> bytes:
        """The bytes of a file."""
        digest = entry.raw("content")
        if digest == ZEROS or not digest:
            return bytes(entry.number("size"))
        if not entry.number("flags") & 1:
            return self.chunk(domain, digest)
        return b"".join(
            bytes(one.number("length"))
            if one.raw("digest") == ZEROS
            else self.chunk(domain, one.raw("digest"))
            for one in self.records_of(domain, digest)
        )


def digest_of_root(root: dict[str, Any]) -> str:
    """What a journal's entry has to say of this root."""
    fields = root | {"format": 1}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return blake3(text.encode()).hexdigest()


def _open(key: bytes, nonce: int, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(nonce.to_bytes(12, "little"), sealed, bound)


def _pattern(key: str) -> re.Pattern[str]:
    text = re.sub(r"<(\d+) hex>", r"[0-9a-f]{\1}", key.strip("`"))
    return re.compile(re.sub(r"<(\d+) digits>", r"[0-9]{\1}", text))
