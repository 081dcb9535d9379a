"""test_export.py - kiln export: what other programs are handed, read here without them, and with
them where they are (tests/support/peers.py)."""
import csv
import errno
import io
import json
import math
import pathlib
import struct
import subprocess
import sys

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import peers  # noqa: E402

NAME = "\"quoted\", <i> & \N{FIRE}"


def crc32c(data):
    """CRC-32C by its definition: the remainder of a polynomial division."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def fields(data):
    """The fields of a Protocol Buffers message: (number, value) in order; text stays bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            assert at + size <= len(data)
            yield key >> 3, data[at:at + size]
            at += size
        else:
            size, form = {1: (8, "<d"), 5: (4, "<f")}[key & 7]
            yield key >> 3, struct.unpack_from(form, data, at)[0]
            at += size


def records(data):
    """The records of an event file, with their checksums checked."""
    at = 0
    while at < len(data):
        size, = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at:at + 8])
        event = data[at + 12:at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size)[0] == masked(event)
        yield event
        at += 16 + size


def tensors(data):
    """Name -> (dtype, shape, bytes) of a safetensors file, and its metadata."""
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    return {name: (t["dtype"], t["shape"], data[8 + size:][slice(*t["data_offsets"])])
            for name, t in header.items()}, metadata


class Export(harness.Case):
    def bytes(self, name):
        return (self.folder / name).read_bytes()

    def test_csv_has_every_record(self):
        self.train("--epochs", 2, "--eval-every", 1)
        self.kiln("export", "csv", "run", "--out", "run.csv")
        text = self.bytes("run.csv").decode()
        self.assertEqual(text.count("\n"), text.count("\r\n"))
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        for row, record in zip(rows, self.records(), strict=True):
            for key, value in record.items():
                if key == "v":
                    continue
                if isinstance(value, str):
                    self.assertEqual(row[key], value)
                else:
                    self.assertEqual(float(row[key]), value, key)
            self.assertEqual({k for k, v in row.items() if v}, set(record) - {"v"})

    def test_what_is_not_finite_comes_through(self):
        self.train("--epochs", 1)
        self.write("run/metrics.jsonl",
                   '{"v":1,"kind":"train","step":1,"epoch":0.1,"t":0.1,"wall":1790000000.5,'
                   '"train/loss":null,"opt/lr":2,"nonfinite":{"train/loss":"-inf"}}\n'
                   '{"v":1,"kind":"train","step":2,"epo')
        self.kiln("export", "csv", "run", "--out", "run.csv")
        self.assertEqual(self.bytes("run.csv"),
                         b"kind,step,epoch,t,wall,train/loss,opt/lr\r\n"
                         b"train,1,0.1,0.1,1790000000.500,-inf,2\r\n")
        self.kiln("export", "tfevents", "run", "--out", "x.tfevents")
        event = dict(fields(list(records(self.bytes("x.tfevents")))[1]))
        values = [dict(fields(v)) for _, v in fields(event[5])]
        self.assertEqual(values, [{1: b"train/loss", 2: -math.inf}, {1: b"opt/lr", 2: 2.0}])

    def test_tfevents_has_every_number_and_the_settings(self):
        self.train("--epochs", 2, "--eval-every", 1, "--name", NAME)
        self.write("run/probes.jsonl", '{"v":1,"kind":"norms","step":3,"epoch":0.3,"t":1.5,'
                                       '"wall":1790000000.5,"of":"conv.weight","norm":2.5}\n')
        self.kiln("export", "tfevents", "run", "--out", "events.out.tfevents.1")
        first, *events = [dict(fields(r)) for r in records(self.bytes("events.out.tfevents.1"))]
        self.assertEqual(first[3], b"brain.Event:2")
        *events, probe, settings = events
        wanted = [r for r in self.records() if r["kind"] in ("train", "epoch")]
        for event, record in zip(events, wanted, strict=True):
            self.assertEqual((event[1], event[2]), (record["wall"], record["step"]))
            values = {v[1].decode(): v[2] for v in (dict(fields(d)) for _, d in fields(event[5]))}
            self.assertEqual(values, {k: struct.unpack("f", struct.pack("f", v))[0]
                                      for k, v in record.items() if "/" in k})
        value = dict(fields(dict(fields(probe[5]))[1]))
        self.assertEqual(value, {1: b"norms/conv.weight/norm", 2: 2.5})
        self.assertIn(NAME.encode(), settings[5])
        # The same run, the same bytes.
        self.kiln("export", "tfevents", "run", "--out", "events.out.tfevents.2")
        self.assertEqual(self.bytes("events.out.tfevents.1"), self.bytes("events.out.tfevents.2"))

    def test_safetensors_is_the_checkpoint(self):
        said = self.train("--epochs", 1)
        self.kiln("export", "safetensors", "run", "--out", "run.safetensors")
        exported, metadata = tensors(self.bytes("run.safetensors"))
        kept, _ = tensors((self.folder / said["checkpoint"]).read_bytes())
        self.assertEqual(exported, kept)
        self.assertEqual((metadata["format"], metadata["net"], metadata["step"]),
                         ("pt", "tiny", "10"))
        data = json.loads(self.read("run/manifest.json"))["data"]
        self.assertEqual([float(x) for x in metadata["mean"].split()], data["mean"])
        # kiln reads it like a checkpoint of its own.
        again = self.json("eval", "run.safetensors", "--net", harness.HERE / "tiny.net",
                          "--data", "synthetic")
        self.assertEqual(again["weights_hash"], said["weights_hash"])

    def test_onnx_has_the_checkpoints_numbers(self):
        said = self.train("--epochs", 1)
        self.kiln("export", "onnx", said["checkpoint"], "--out", "run.onnx")
        model = list(fields(self.bytes("run.onnx")))
        graph = list(fields(dict(model)[7]))
        self.assertEqual(dict(fields(dict(model)[8]))[2], 17)
        nodes = [dict(fields(v))[4].decode() for k, v in graph if k == 1]
        self.assertEqual(nodes, ["Conv", "BatchNormalization", "Relu", "MaxPool", "Flatten",
                                 "Gemm"])
        kept, _ = tensors((self.folder / said["checkpoint"]).read_bytes())
        kept = {k: v for k, v in kept.items() if not k.endswith("num_batches_tracked")}
        found = {}
        for tensor in (list(fields(v)) for k, v in graph if k == 5):
            dims = [v for k, v in tensor if k == 1]
            found[dict(tensor)[8].decode()] = ("F32", dims, dict(tensor)[9])
        self.assertEqual(found, kept)

    def test_finds_a_run_by_its_name(self):
        said = self.train("--epochs", 1, out="runs/20261123-101010-tiny-0a1b2c3d")
        for kind in ("csv", "safetensors", "onnx", "tfevents"):
            o = self.json("export", kind, "0a1b", "--out", f"x.tfevents.{kind}")
            self.assertEqual(o, {"format": kind, "file": f"x.tfevents.{kind}"})

    def test_says_what_it_cannot_do(self):
        self.train("--epochs", 1)
        self.fails(2, "no format 'onx'; did you mean 'onnx'?", "export", "onx", "run", "--out", "x")
        self.fails(2, "wants --out FILE", "export", "csv", "run")
        self.fails(2, "is no run directory, and only a run has measurements", "export", "csv",
                   "run/checkpoints/best.safetensors", "--out", "x")
        self.fails(3, "there is no run 'nothing'", "export", "onnx", "nothing", "--out", "x",
                   "--runs", ".")
        damaged = bytearray(self.bytes("run/checkpoints/best.safetensors"))
        damaged[-1] ^= 1
        (self.folder / "damaged.safetensors").write_bytes(damaged)
        for kind in ("onnx", "safetensors"):
            self.fails(3, "cannot use 'damaged.safetensors': the content does not match its "
                       "SHA-256", "export", kind, "damaged.safetensors", "--out", "x", "--net",
                       harness.HERE / "tiny.net", "--data", "synthetic")
        self.fails(1, "no such file or directory", "export", "csv", "run", "--out", "no/where.csv")
        self.assertFalse((self.folder / "x").exists())

    def test_a_full_disk_leaves_the_old_file(self):
        if not harness.FAULT_LIB:
            self.skipTest("KILN_FAULT_LIB is not set")
        self.train("--epochs", 1)
        for kind in ("csv", "safetensors", "onnx", "tfevents"):
            for at in range(1, 20):
                self.write("out.tfevents", "old")
                report = self.folder / "report"
                report.unlink(missing_ok=True)
                done = subprocess.run(
                    [harness.KILN, "export", kind, "run", "--out", "out.tfevents"],
                    cwd=self.folder, capture_output=True, text=True, check=False,
                    env=harness.clean_environment(
                        LD_PRELOAD=harness.FAULT_LIB, KILN_FAULT_AT=str(at),
                        KILN_FAULT_PATH="out.tfevents", KILN_FAULT_STICKY="1",
                        KILN_FAULT_ERRNO=str(errno.ENOSPC), KILN_FAULT_REPORT=str(report)))
                if not report.exists():
                    self.assertEqual(done.returncode, 0, done.stderr)
                    break
                where = f"{kind} call {at} {report.read_text()}"
                self.assertEqual(done.returncode, 1, where)
                self.assertIn("no space left on device", done.stderr, where)
                self.assertEqual(self.read("out.tfevents"), "old", where)
            self.assertGreater(at, 3)

    def test_tensorboard_reads_it(self):
        python = peers.find("tensorboard")
        if not python:
            self.skipTest("no Python of KILN_PEERS has tensorboard")
        self.train("--epochs", 1, "--name", NAME)
        (self.folder / "logs").mkdir()
        self.kiln("export", "tfevents", "run", "--out", "logs/events.out.tfevents.kiln")
        script = """if True:
            import json, sys
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
            from tensorboard.plugins.hparams import metadata
            a = EventAccumulator("logs", size_guidance={"scalars": 0})
            a.Reload()
            start = metadata.parse_session_start_info_plugin_data(
                a.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
            json.dump([[(s.step, s.value) for s in a.Scalars("train/loss")],
                       start.hparams["lr"].number_value, start.hparams["name"].string_value,
                       start.group_name], sys.stdout)
            """
        done = subprocess.run([python, "-c", script], cwd=self.folder, capture_output=True,
                              text=True, check=True)
        losses, lr, name, group = json.loads(done.stdout)
        wanted = [(r["step"], struct.unpack("f", struct.pack("f", r["train/loss"]))[0])
                  for r in self.records() if r["kind"] == "train"]
        self.assertEqual([tuple(x) for x in losses], wanted)
        self.assertEqual((lr, name, group), (0.1, NAME, "run"))


if __name__ == "__main__":
    harness.main()
