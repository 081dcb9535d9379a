"""torch_logits.py FOLDER - what PyTorch makes of weights.safetensors on input.f32 of FOLDER/0, in
the twin of tests/golden/every_layer.net."""
import pathlib
import sys

import numpy
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/golden"))
import every_layer  # noqa: E402

folder = pathlib.Path(sys.argv[1]) / "0"
images = numpy.fromfile(folder / "input.f32", dtype="<f4").reshape(-1, 3, 14, 14)
torch.set_num_threads(1)
# In evaluation a ghost batch norm is one with running statistics.
every_layer.GhostBatchNorm.forward = every_layer.FrozenBatchNorm.forward
model = every_layer.EveryLayer().eval()
missing, unexpected = model.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)
assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
with torch.no_grad():
    model(torch.from_numpy(images)).numpy().astype("<f4").tofile(folder / "peer.f32")
