"""onnx_logits.py FOLDER - what onnxruntime makes of model.onnx on input.f32, in each folder
below."""
import pathlib
import sys

import numpy
import onnx
import onnxruntime


def run(folder):
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    images = numpy.fromfile(folder / "input.f32", dtype="<f4").reshape(-1, *shape)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options,
                                           providers=["CPUExecutionProvider"])
    session.run(None, {"input": images})[0].astype("<f4").tofile(folder / "peer.f32")


for path in pathlib.Path(sys.argv[1]).glob("*/model.onnx"):
    run(path.parent)
