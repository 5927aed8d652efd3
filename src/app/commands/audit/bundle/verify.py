#!/usr/bin/env python3
"""Checks a bundle of customs' audit log. It needs Python 3.6 or newer and nothing else.

    python3 verify.py [BUNDLE] [--key PUBLIC_KEY.pem]..

BUNDLE is the directory of this script by default. Without --key, the keys in the bundle are used:
compare their ids with what you know from elsewhere, because the maker of the bundle chose them.

Exit codes: 0 intact; 1 something is wrong, and each thing is named; 3 nothing is wrong, but not
everything is proven, and the notes say what; 2 this is not a bundle.
"""

import base64
import hashlib
import json
import os
import re
import sys

VERSION = 1
REVISION = re.compile(r"[0-9a-f]{32}\Z")


# Ed25519 as RFC 8032 defines it: verification of signatures only.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(a, b):
    """Adds two points in extended coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, point):
    """Multiplies a point by a number."""
    result = NEUTRAL
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def is_same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(encoded):
    """Decodes a point; None if the bytes are not one."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public, text, signature):
    """Whether the key made this signature. Points of small order, with which one signature would fit
    many texts, are refused."""
    if len(signature) != 64:
        return False
    point, nonce = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if point is None or nonce is None or s >= L:
        return False
    if is_same(times(8, point), NEUTRAL) or is_same(times(8, nonce), NEUTRAL):
        return False
    digest = hashlib.sha512(signature[:32] + public + text).digest()
    k = int.from_bytes(digest, "little") % L
    return is_same(times(s, BASE), add(nonce, times(k, point)))


PREFIX = bytes.fromhex("302a300506032b6570032100")


def read_key(path):
    """Returns the id and the bytes of a public key in PEM."""
    with open(path, "r", encoding="ascii") as file:
        text = file.read()
    found = re.search("-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", text, re.S)
    der = base64.b64decode("".join(found.group(1).split())) if found else b""
    if len(der) != 44 or not der.startswith(PREFIX):
        raise ValueError("it is not an Ed25519 public key in PEM")
    public = der[len(PREFIX):]
    return hashlib.sha256(public).hexdigest()[:16], public


# Records.


class Record:
    """A record: the bytes that its chain covers, and what the verification needs of it."""

    def __init__(self, body, chain, fields):
        self.body = body
        self.chain = chain
        self.time = fields["time"]
        self.kind = fields["kind"]
        self.stream = fields["stream"]
        self.sequence = int(fields["sequence"])
        self.fields = fields

    def name(self):
        return "record %d of stream %s, %s" % (self.sequence, self.stream, self.time)

    def previous(self):
        """The position that a record of kind `stream` continues; None if there is none."""
        stream = self.fields.get("previousStream", "")
        if not stream:
            return None
        chain = bytes.fromhex(self.fields["previousChain"])
        return (stream, int(self.fields.get("previousSequence", 0)), chain)

    def follows(self, at):
        """Whether it is the next record behind a position; the first of all has none before it."""
        if at is None:
            if self.kind != "stream":
                return False
            at = self.previous() or ("", 0, bytes(32))
        elif self.kind == "stream":
            if self.previous() != at:
                return False
        elif self.stream != at[0]:
            return False
        number = at[1] + 1 if self.stream == at[0] else 1
        fits = hashlib.sha256(at[2] + self.body).digest() == self.chain
        return self.sequence == number and fits

    def revisions(self):
        names = {self.fields.get("revision", ""), self.fields.get("previousRevision", "")}
        return {name for name in names if REVISION.match(name)}


LINE = re.compile(rb'(\{"time":".*),"chain":"([0-9a-f]{64})"\}\n\Z')


def read_lines(file):
    """Reads records in JSON."""
    for line in file:
        match = LINE.match(line)
        try:
            fields = json.loads((match.group(1) + b"}").decode("ascii"))
            yield Record(match.group(1), bytes.fromhex(match.group(2).decode()), fields)
        except (AttributeError, ValueError, KeyError, TypeError):
            yield None


TAIL = b"\x82\x7d\x40"
TEXTS = {2: "kind", 3: "stream", 51: "revision", 61: "previousRevision", 104: "previousStream",
         106: "previousChain", 130: "sealedStream", 132: "head", 134: "key", 135: "signature"}
NUMBERS = {4: "sequence", 105: "previousSequence", 131: "records", 133: "final"}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields_of(data):
    """The fields of a message: number and value; a value is a number or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            if at + size > len(data):
                raise ValueError("a field ends too early")
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def message(body, chain):
    fields = {"revision": "", "previousRevision": ""}
    for number, value in fields_of(body):
        if number == 1:
            parts = dict(fields_of(value))
            fields["time"] = time_text(parts.get(1, 0), parts.get(2, 0))
        elif number in TEXTS:
            fields[TEXTS[number]] = value.decode()
        elif number in NUMBERS:
            fields[NUMBERS[number]] = value
    return Record(body, chain, fields)


def read_messages(file):
    """Reads records in protobuf, each behind its length."""
    while True:
        length = file.read(1)
        if not length:
            return
        try:
            while length[-1] >= 128 and len(length) < 5:
                length += file.read(1)
            size = varint(length, 0)[0]
            data = file.read(size) if size < 1 << 24 else b""
            body, end = data[:-67], data[-67:]
            if len(data) != size or not end.startswith(TAIL):
                raise ValueError("it is not a record")
            yield message(body, bytes.fromhex(end[3:].decode()))
        except (IndexError, ValueError, KeyError, AttributeError):
            yield None
            return


# Times, as numbers of nanoseconds.


def days_of(year, month, day):
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def nanoseconds(text):
    parts = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z\Z", text)
    year, month, day, hour, minute, second = (int(part) for part in parts.groups()[:6])
    seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return seconds * 10**9 + int((parts.group(7) or "").ljust(9, "0"))


def time_text(seconds, nanos):
    days, second = divmod(seconds, 86400)
    days += 719468
    era = days // 146097
    of_era = days - era * 146097
    of_year_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * of_year_era + of_year_era // 4 - of_year_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    year = of_year_era + era * 400 + (month <= 2)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % (
        year, month, day, second // 3600, second // 60 % 60, second % 60, nanos)


# The bundle.


class Bundle:
    def __init__(self, root, keys):
        self.root = root
        self.findings = []
        self.notes = []
        self.named = set()
        self.proven = True
        self.manifest = self.read_manifest()
        self.keys = dict(keys)
        self.read_keys(bool(keys))

    def path(self, name):
        return os.path.join(self.root, *name.split("/"))

    def bad(self, word, place, why):
        self.findings.append("bad: %s: %s: %s" % (word, place, why))

    def note(self, text):
        """Something is not proven."""
        self.notes.append(text)
        self.proven = False

    def read_manifest(self):
        with open(self.path("bundle.json"), "rb") as file:
            manifest = json.loads(file.read().decode())
        if not isinstance(manifest["version"], int):
            raise ValueError("its version is not a number")
        if manifest["version"] != VERSION:
            print("bundle.json has version %d, and this script reads version %d"
                  % (manifest["version"], VERSION), file=sys.stderr)
            sys.exit(2)
        return manifest

    def read_keys(self, are_given):
        for key in self.manifest["keys"]:
            name = "keys/%s.pem" % key
            try:
                found, public = read_key(self.path(name))
                if found != key:
                    self.bad("changed", name, "it is the key %s, not %s" % (found, key))
                elif not are_given:
                    self.keys[found] = public
            except (OSError, ValueError) as why:
                self.bad("changed", name, why)
        if not self.keys:
            self.note("signatures were not checked: the bundle has no key, so anyone who had the log "
                      "could have rewritten all of it")
        elif not are_given:
            self.notes.append("the keys are the bundle's own: compare their ids with what you know "
                              "from elsewhere, or give the keys with --key")

    def files(self):
        """Compares every file with the manifest."""
        there = set()
        for folder, _, names in os.walk(self.root):
            inside = os.path.relpath(folder, self.root).replace(os.sep, "/")
            for name in names:
                there.add(name if inside == "." else inside + "/" + name)
        there.discard("bundle.json")
        for listed in self.manifest["files"]:
            name = listed["path"]
            if name not in there:
                self.bad("missing", name, "the manifest lists it, and it is not there")
                continue
            there.discard(name)
            digest, size = hashlib.sha256(), 0
            with open(self.path(name), "rb") as file:
                for chunk in iter(lambda: file.read(1 << 20), b""):
                    digest.update(chunk)
                    size += len(chunk)
            if (digest.hexdigest(), size) != (listed["sha256"], listed["size"]):
                self.bad("changed", name, "it has %d bytes and the SHA-256 %s; the manifest says %d "
                         "bytes and %s" % (size, digest.hexdigest(), listed["size"], listed["sha256"]))
        for name in sorted(there):
            self.bad("unexpected", name, "the manifest does not list it")

    def worth(self, fields):
        """What a checkpoint is worth: `counts`, `ignored` or `bad`."""
        if not self.keys:
            return "counts"
        if fields.get("key", "") not in self.keys:
            return "ignored"
        text = "customs audit checkpoint v1\n%s\n%s\n%s\n%s\n%s\n" % (
            fields["sealedStream"], int(fields.get("records", 0)), fields["head"], fields["time"],
            "final" if fields.get("final") else "open")
        try:
            signature = bytes.fromhex(fields.get("signature", ""))
        except ValueError:
            return "bad"
        public = self.keys[fields["key"]]
        return "counts" if is_signed(public, text.encode(), signature) else "bad"

    def checkpoint_file(self, name):
        """The checkpoints of a checkpoint file that count, by stream and number of records; and how
        many records each stream had at the last of them."""
        kept, lengths = {}, {}
        if not name:
            return kept, lengths
        with open(self.path(name), "rb") as file:
            for number, line in enumerate(file, 1):
                place = "%s, line %d" % (name, number)
                try:
                    fields = json.loads(line.decode())
                    worth = self.worth(fields)
                    stream, records = fields["sealedStream"], int(fields.get("records", 0))
                    fields["head"], fields["time"]
                except (ValueError, KeyError, TypeError):
                    self.bad("changed", place, "it is not a checkpoint")
                    continue
                if worth == "bad":
                    self.bad("bad signature", place,
                             "key %s did not sign this checkpoint" % fields["key"])
                elif worth == "counts":
                    kept[stream, records] = (fields, place)
                    # The checkpoint itself is a record of the stream, too.
                    length = max(records + 1, lengths.get(stream, (0, ""))[0])
                    lengths[stream] = (length, place)
        return kept, lengths

    def records(self, log):
        """Every record of a log with its place; None for what is not a record."""
        for name in log["recordFiles"]:
            is_json = name.endswith(".jsonl")
            with open(self.path(name), "rb") as file:
                records = read_lines(file) if is_json else read_messages(file)
                for number, record in enumerate(records, 1):
                    yield "%s, %s %d" % (name, "line" if is_json else "record", number), record

    def omitted(self, log):
        """The runs of omitted records."""
        if not log.get("omittedFile"):
            return
        with open(self.path(log["omittedFile"]), "rb") as file:
            for line in file:
                run = json.loads(line.decode())
                yield run["stream"], run["first"], run["last"], bytes.fromhex(run["chain"])

    def log(self, log):
        """Walks over a log: each record must follow from the one before."""
        name = log["directory"]
        kept, lengths = self.checkpoint_file(log.get("checkpointFile"))
        start = log.get("start")
        at = (start["stream"], start["sequence"], bytes.fromhex(start["chain"])) if start else None
        begin, counts = at, {"records": 0, "decisions": 0, "omitted": 0}
        first = last = sealed_at = None
        sealed = pending = 0
        ends = {}
        is_final = False
        runs = self.omitted(log)
        run = next(runs, None)

        def omit(at, run):
            # A log begins with a record of kind `stream`, which no filter omits.
            is_next = at is not None and run[0] == at[0] and run[1] == at[1] + 1
            return is_next and run[1] <= run[2]

        records = self.records(log)
        while True:
            place, record = next(records, (None, None))
            while run is not None and omit(at, run):
                counts["omitted"] += run[2] - run[1] + 1
                first = first or (run[0], run[1], None)
                last = (run[0], run[2], None)
                at, pending = (run[0], run[2], run[3]), 0
                run = next(runs, None)
            if place is None:
                break
            if record is None:
                return self.bad("edited", place, "it is not a record")
            if is_final and at is not None and record.stream == at[0]:
                return self.bad("inserted", "%s: %s" % (place, record.name()),
                                "the checkpoint before it is the last of its stream")
            if not record.follows(at):
                return self.bad("edited", "%s: %s" % (place, record.name()),
                                "it does not follow from what is before it: it was edited, or records "
                                "before it were removed, added or moved")
            before, at = at, (record.stream, record.sequence, record.chain)
            self.named |= record.revisions()
            counts["records"] += 1
            counts["decisions"] += record.kind == "decision"
            first = first or (record.stream, record.sequence, record)
            last = (record.stream, record.sequence, record)
            ends[record.stream] = record.sequence
            pending += 1
            is_final = False
            if record.kind == "checkpoint" and record.fields.get("sealedStream") == record.stream:
                worth = self.worth(record.fields)
                if worth == "bad":
                    return self.bad("bad signature", "%s: %s" % (place, record.name()),
                                    "key %s did not sign this checkpoint" % record.fields["key"])
                is_here = before is not None and (
                    int(record.fields.get("records", 0)), record.fields["head"]
                ) == (before[1], before[2].hex())
                if not is_here:
                    return self.bad("checkpoint mismatch", "%s: %s" % (place, record.name()),
                                    "the chain was different when this checkpoint was made")
                is_final = bool(record.fields.get("final"))
                if worth == "counts":
                    sealed, pending, sealed_at = sealed + pending, 0, record.fields
            if (record.stream, record.sequence) in kept:
                fields, line = kept[record.stream, record.sequence]
                if fields["head"] != record.chain.hex():
                    return self.bad("checkpoint mismatch", "%s: %s" % (place, record.name()),
                                    "%s says that the chain was different here" % line)
                sealed, pending, sealed_at = sealed + pending, 0, fields
        if run is not None:
            self.bad("edited", log["omittedFile"], "the records %d to %d of stream %s do not belong "
                     "where it names them" % (run[1], run[2], run[0]))
        for stream, (length, line) in sorted(lengths.items()):
            if length > ends.get(stream, 0):
                self.bad("truncated", name, "%s says that stream %s had %d records; the last that is "
                         "left is record %d" % (line, stream, length, ends.get(stream, 0)))
        for what, key in (("records", "records"), ("decisions", "decisions"),
                          ("omitted records", "omitted")):
            if counts[key] != log.get(key, 0):
                self.bad("truncated", name, "it has %d %s, and the manifest says %d"
                         % (counts[key], what, log.get(key, 0)))
        for what, found in (("first", first), ("last", last)):
            listed = log[what]
            is_it = found is not None and found[:2] == (listed["stream"], listed["sequence"])
            if is_it and found[2] is not None:
                is_it = found[2].time == listed["time"]
            if not is_it:
                self.bad("truncated", name, "its %s record is not record %d of stream %s, %s, as the "
                         "manifest says" % (what, listed["sequence"], listed["stream"], listed["time"]))
        self.judge(log, begin, (first, last), counts, (sealed, sealed_at))

    def judge(self, log, begin, ends, counts, seal):
        """Says what a right log proves."""
        name, (first, last), (sealed, sealed_at) = log["directory"], ends, seal
        print("%s (%s): %d records, of which %d decisions, %d omitted; %d sealed"
              % (name, log["sink"], counts["records"], counts["decisions"], counts["omitted"], sealed))
        if sealed_at is not None:
            print("  last checkpoint: %s, key %s" % (sealed_at["time"], sealed_at.get("key", "-")))
        if self.manifest.get("filter"):
            return
        if sealed != counts["records"] or sealed_at is None:
            self.note("%s: no checkpoint that counts seals its last %d records: they could have been "
                      "cut or rewritten" % (name, counts["records"] - sealed))
        if first is None or last is None:
            return
        since, until = self.manifest["since"], self.manifest["until"]
        is_first = first[2].kind == "stream" and first[2].previous() is None and begin is None
        begins = is_first or not since or nanoseconds(first[2].time) < nanoseconds(since)
        is_over = not until or nanoseconds(last[2].time) >= nanoseconds(until)
        if not (begins and is_over):
            self.note("%s: the window is not covered: no record before its beginning, or none after "
                      "its end; the records are from %s to %s" % (name, first[2].time, last[2].time))

    def policies(self):
        """Computes each revision again from its manifest, and checks the bytes of its files."""
        listed = set(self.manifest["revisions"])
        missing = set(self.manifest["missingRevisions"])
        for revision in sorted(listed - missing):
            name = "policies/revisions/%s.json" % revision
            try:
                with open(self.path(name), "rb") as file:
                    manifest = json.loads(file.read().decode())
                self.revision(name, revision, manifest)
            except OSError:
                self.bad("policy", name, "it is missing")
            except (ValueError, KeyError, TypeError) as why:
                self.bad("policy", name, "it is not the manifest of a revision: %s" % why)
        for revision in sorted(self.named - listed):
            self.bad("policy", "revision %s" % revision,
                     "records name it, and the manifest does not list it")
        if missing:
            self.notes.append("the policies of these revisions are not in the bundle: "
                              + ", ".join(sorted(missing)))
        print("policies: %d revisions computed again" % len(listed - missing))

    def revision(self, name, revision, manifest):
        digest = hashlib.sha256()

        def part(data):
            digest.update(len(data).to_bytes(8, "big") + data)

        part(manifest["fingerprint"].encode())
        for source in manifest["sources"]:
            part(b"")
            part(source["binding"].encode())
            for file in source["files"]:
                part(file["name"].encode())
                part(bytes.fromhex(file["sha256"]))
                self.object(file)
        computed = digest.hexdigest()[:32]
        if not computed == manifest["revision"] == revision:
            self.bad("policy", name, "it was changed: its settings and files make the revision %s"
                     % computed)

    def object(self, file):
        name = "policies/objects/sha256/%s" % file["sha256"]
        try:
            with open(self.path(name), "rb") as opened:
                found = hashlib.sha256(opened.read()).hexdigest()
        except OSError:
            return self.bad("policy", name, "it is missing: it holds the policy file %s" % file["name"])
        if found != file["sha256"]:
            self.bad("policy", name, "its bytes have the SHA-256 %s; it holds the policy file %s"
                     % (found, file["name"]))

    def check(self):
        manifest = self.manifest
        print("window: %s to %s%s" % (
            manifest["since"] or "the first record", manifest["until"] or "the last record",
            ", only " + manifest["filter"] if manifest.get("filter") else ""))
        print("keys: %s" % (", ".join(sorted(self.keys)) or "none"))
        for log in manifest["logs"]:
            try:
                self.log(log)
            except OSError as why:
                self.bad("missing", log["directory"], why)
            except (ValueError, KeyError, TypeError) as why:
                self.bad("damaged", log["directory"], why)
        if not manifest["logs"]:
            self.note("the bundle has no log")
        self.policies()
        self.files()
        if manifest.get("filter"):
            self.note("a filter was used: only records that a checkpoint follows without an omitted "
                      "record between are sealed; the others only agree with the chain value that is "
                      "stated before them. Nothing shows what the omitted records were")
        for note in self.notes:
            print("note: %s" % note)
        for finding in self.findings:
            print(printable(finding))
        if self.findings:
            return 1
        print("intact" if self.proven else "not proven: see the notes")
        return 0 if self.proven else 3


def printable(text):
    """A text on one line, without what a terminal would interpret."""
    return "".join(c if c.isprintable() else "\\u{%x}" % ord(c) for c in text)


def main():
    root, keys, arguments = None, [], sys.argv[1:]
    while arguments:
        argument = arguments.pop(0)
        if argument in ("-h", "--help"):
            print(__doc__)
            return 0
        if argument == "--key" and arguments:
            path = arguments.pop(0)
            try:
                keys.append(read_key(path))
            except (OSError, ValueError) as why:
                print("%s: %s" % (path, why), file=sys.stderr)
                return 2
        elif root is None and not argument.startswith("-"):
            root = argument
        else:
            print(__doc__, file=sys.stderr)
            return 2
    root = root or os.path.dirname(os.path.abspath(__file__))
    try:
        bundle = Bundle(root, keys)
    except FileNotFoundError:
        print("%s is not a bundle: it has no bundle.json" % root, file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError, TypeError) as why:
        print("bad: changed: bundle.json: it is not the manifest of a bundle: %s" % printable(str(why)))
        return 1
    try:
        return bundle.check()
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        print("bad: changed: bundle.json: %s" % printable(str(why)))
        return 1


if __name__ == "__main__":
    sys.exit(main())
