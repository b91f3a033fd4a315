"""Uses each package of the trainer's image of which something is left out, or whose libraries are stripped."""

import io
import os

import numpy
import onnx
import onnxruntime
import pyarrow.compute
import regex
import scipy.linalg
import scipy.optimize
import tokenizers
import torch
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from opacus import PrivacyEngine
from peft import LoraConfig, get_peft_model
from PIL import Image
from pyarrow import csv, parquet
from safetensors.torch import load, save
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from torchvision.ops import nms
from torchvision.transforms.v2 import functional
from transformers import BertConfig, BertForSequenceClassification


def tables() -> None:
    table = csv.read_csv(io.BytesIO(b"a,b\n1,x\n,y\n"))
    file = io.BytesIO()
    parquet.write_table(table, file)
    assert parquet.read_table(file)["b"].to_pylist() == ["x", "y"]
    assert pyarrow.compute.sum(table["a"]).as_py() == 1


def onnx_runtime() -> None:
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    shape = {name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"}
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [shape["x"]], [shape["y"]])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": numpy.float32([-1, 2])})[0].tolist() == [0, 2]


def pretrained() -> None:
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "vocab_size": 9,
    }
    model = BertForSequenceClassification(BertConfig(**sizes))
    tuned = get_peft_model(model, LoraConfig(target_modules=["query"], r=2))
    assert tuned(input_ids=torch.tensor([[1, 2]])).logits.shape == (1, 2)
    vocabulary = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    vocabulary.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert vocabulary.encode("b a").ids == [1, 0]


def pictures() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "jpeg")
    assert functional.pil_to_tensor(Image.open(file)).shape == (3, 4, 4)
    assert nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5).tolist() == [0]


def numbers() -> None:
    images, digits = load_digits(return_X_y=True)
    assert LogisticRegression(max_iter=30).fit(images[:200] / 16, digits[:200]).score(images / 16, digits) > 0.8
    assert scipy.linalg.det(numpy.eye(3)) == 1
    assert scipy.optimize.linprog([1], bounds=[(2, 3)]).fun == 2


def the_rest() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(32, 32, bias=False))
    quantize_(layer, Int8WeightOnlyConfig())
    assert layer(torch.zeros(1, 32)).sum() == 0
    key = AESGCM(bytes(16))
    assert key.decrypt(bytes(12), key.encrypt(bytes(12), b"kept", None), None) == b"kept"
    assert load(save({"a": torch.ones(1)}))["a"] == 1
    assert regex.match(r"\p{Lu}", "Ä")
    assert yaml.load("a: 1", Loader=yaml.CSafeLoader) == {"a": 1}
    assert PrivacyEngine(accountant="rdp").get_epsilon(1e-5) == 0


if __name__ == "__main__":
    for part in (tables, onnx_runtime, pretrained, pictures, numbers, the_rest):
        part()
    print("all there")
