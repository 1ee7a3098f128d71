"""Programs that would notice a watcher, for test_do_no_harm.py. Each leaves `kept`, and may count
in `calls`."""

from __future__ import annotations

import textwrap

# Objects that answer no question. Each special method notes that it was called, and by whom.
HOSTILE = """
import collections, sys, threading, torch
calls = collections.Counter()

def refusing(name):
    def method(*args, **kwargs):
        calls[name] += 1
        raise RuntimeError("not yours: " + name)
    return method

SPECIAL = [f"__{name}__" for name in '''getattr getattribute getitem setitem delitem contains eq ne
    lt le gt ge hash repr str format bool len length_hint iter next call index int float array add
    array_interface reversed missing sizeof dir copy deepcopy reduce_ex get enter exit'''.split()]
PROPERTIES = "__class__", "__dict__", "__torch_function__", "__name__", "__doc__"

class Meta(type):
    __instancecheck__ = refusing("meta instancecheck")
    __subclasscheck__ = refusing("meta subclasscheck")
    __getattr__ = refusing("meta getattr")
    __getattribute__ = refusing("meta getattribute")
    __eq__ = refusing("meta eq")
    __hash__ = refusing("meta hash")
    __repr__ = refusing("meta repr")
    __len__ = refusing("meta len")
    __iter__ = refusing("meta iter")
    __bool__ = refusing("meta bool")

def hostile(name="Hostile", bases=(), metaclass=Meta, but=()):
    members = {each: refusing(each) for each in SPECIAL if each not in but}
    members |= {each: property(refusing(each)) for each in PROPERTIES if each not in but}
    return metaclass(name, bases, members)

Hostile = hostile()
HostileDict = hostile("HostileDict", (dict,))
HostileList = hostile("HostileList", (list,))
HostileTuple = hostile("HostileTuple", (tuple,))
HostileStr = hostile("HostileStr", (str,))
"""

# A loop in which the observer has reason to look around: names, losses, writes, a failing backward.
LOOP = """
net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
optimizer = torch.optim.Adam(net.parameters(), foreach=True)
for step in range(3):
    x = torch.randn(4, 3)
    x[0] = 2.0
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kept = [loss, *net.parameters()]
"""
BROKEN = """
late = net(x).pow(2).mean()
optimizer.step()
late.backward()
"""

PROGRAMS = {
    "globals": HOSTILE + """
one, kind, table, row, pair, word = (
    Hostile(), Hostile, HostileDict({"a": torch.ones(1)}), HostileList([torch.ones(1)]),
    HostileTuple((1,)), HostileStr("w"))
""" + LOOP + BROKEN,
    "locals": HOSTILE + "def main():\n    one, kind = Hostile(), Hostile\n"
    "    table, row = HostileDict(a=1), HostileList([Hostile()])"
    + textwrap.indent(LOOP + "globals().update(kept=kept)" + BROKEN, "    ")
    + "main()",
    "attributes of a model and an optimizer": HOSTILE + """
net = torch.nn.Linear(3, 1)
vars(net).update(one=Hostile(), table=HostileDict(a=1), row=HostileList([1]), kind=Hostile)
class Own(torch.optim.SGD):
    one, kind, table = Hostile(), Hostile, HostileDict(a=1)
optimizer = Own(net.parameters(), lr=0.1)
optimizer.row = HostileList([Hostile()])
for step in range(3):
    loss = net(torch.randn(4, 3)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kept = [*net.parameters()]
x = torch.randn(4, 3)
""" + BROKEN,
    "keys and items": HOSTILE + """
class Key:
    __repr__ = __str__ = refusing("repr")
table = {Key(): Hostile(), 3: Hostile(), None: torch.ones(1), "a": [Hostile()], (1,): Key}
row = [Hostile(), {"b": Hostile()}, (Hostile(),), {Key()}]
names = {"w": torch.ones(3, requires_grad=True), Key(): torch.ones(3, requires_grad=True)}
(names["w"] * 2).sum().backward()
""" + LOOP + BROKEN,
    "what is not a name among globals": "globals()[3] = 4\nglobals()[None] = 5" + LOOP + BROKEN,
    "lazy objects": """
import collections
calls = collections.Counter()
class Lazy:
    def __getattr__(self, name):
        calls[name] += 1
        return Lazy()
    def __bool__(self):
        calls["bool"] += 1
        return True
    def __call__(self, *args):
        calls["call"] += 1
        return self
class Module(type(collections)):
    def __getattr__(self, name):
        calls["module " + name] += 1
        raise AttributeError(name)
lazy, module = Lazy(), Module("module")
""" + LOOP + BROKEN,
    "properties that draw and count": """
import collections, random, numpy
calls = collections.Counter()
class Feed:
    @property
    def batches(self):
        calls["batches"] += 1
        random.random(), numpy.random.rand()
        return [torch.randn(4, 3) for _ in range(3)]
    @property
    def rows(self):
        calls["rows"] += 1
        torch.rand(1)
        return self.store
    def __len__(self):
        calls["len"] += 1
        return 3
    def __getitem__(self, at):
        calls["getitem"] += 1
        if at > 2:
            raise IndexError
        return torch.randn(4, 3)
feed = buffer = Feed()
buffer.store = torch.zeros(3)
net = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x in feed.batches:
    buffer.rows[0] = 1.0
    buffer.rows.add_(1)
    buffer.rows[1:] += 1
    loss = net(x).mean() + (buffer.rows * net.weight.sum()).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
for x in feed:
    net(x + feed.rows).mean().backward()
kept = [*net.parameters(), buffer.store]
(net.weight.exp() * buffer.rows).sum().detach().backward()
""",
    "a descriptor that counts": """
import collections
calls = collections.Counter()
class Counted:
    def __get__(self, holder, kind):
        calls["get"] += 1
        return torch.ones(3) * 2
    def __set__(self, holder, value):
        calls["set"] += 1
class Net(torch.nn.Linear):
    scale = Counted()
    @property
    def extra(self):
        calls["extra"] += 1
        raise AttributeError("nothing")
net = Net(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(3):
    loss = (net(torch.randn(2, 3)) * net.scale.sum()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kept = [*net.parameters()]
torch.add(torch.ones(3), 1, out=net.scale)
net.scale.sum().backward()
""",
    "lazy modules": """
net = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.LazyBatchNorm1d(), torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
other = torch.nn.LazyLinear(3)
for step in range(3):
    loss = net(torch.randn(5, 3)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kept = [*net.parameters()]
other.weight.sum()
""",
    "fake and meta tensors": """
from torch._subclasses.fake_tensor import FakeTensorMode
kept = []
def steps(device):
    net = torch.nn.Linear(3, 3, device=device)
    for kind in torch.optim.SGD, torch.optim.Adam:
        optimizer = kind(net.parameters(), lr=0.1)
        for step in range(3):
            x = torch.ones(4, 3, device=device)
            x[0] = 2.0
            loss = net(x).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            kept.append((tuple(loss.shape), loss.device.type, loss.grad_fn.name()))
steps("meta")
with FakeTensorMode():
    steps("cpu")
    torch.ones(3).sum().backward()
""",
    "modes that count": """
import collections
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
calls = collections.Counter()
class Ops(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        calls[str(func)] += 1
        return func(*args, **(kwargs or {}))
class Functions(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        calls[getattr(func, "__name__", "?")] += 1
        return func(*args, **(kwargs or {}))
with Ops(), Functions():
""" + textwrap.indent(LOOP + BROKEN, "    "),
    "modes that refuse": """
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
known = set()
class Ops(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if known and func not in known:
            raise RuntimeError(f"unknown: {func}")
        first.add(func)
        return func(*args, **(kwargs or {}))
first = set()
net = torch.nn.Linear(3, 1)
def step():
    loss = net(torch.ones(4, 3)).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for each in net.parameters():
            each.sub_(each.grad)
            each.grad.zero_()
with Ops():
    step(), step()
    known = first
    step()
    kept = [*net.parameters(), sorted(map(str, first))]
    (net.weight + 1).sum().cos().backward()
""",
    "torch.func": """
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap
def f(w, x):
    y = (w * x).sin()
    y.add_(1)
    return y.sum()
w, x = torch.randn(3), torch.randn(5, 3)
net = torch.nn.Linear(3, 1)
names = dict(net.named_parameters())
def of_net(names, x):
    return functional_call(net, names, x).sum()
kept = []
for step in range(2):
    kept += [grad(f)(w, x[0]), vmap(grad(f), (None, 0))(w, x), hessian(f)(w, x[0])]
    kept += [jacrev(f)(w, x[0]), *jvp(lambda w: f(w, x[0]), (w,), (w,))]
    kept += [*vmap(grad(of_net), (None, 0))(names, x).values()]
    of_net(names, x).backward()
kept += [each.grad for each in net.parameters()]
vmap(lambda x: x.item())(x)
""",
    "a subclass that refuses": """
import collections
calls = collections.Counter()
class Shy(torch.Tensor):
    known = {"mul", "sum", "backward", "__mul__", "add_", "detach", "as_subclass", "__get__"}
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        calls[func.__name__] += 1
        if func.__name__ not in cls.known:
            raise RuntimeError("not known: " + func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})
def counted(name):
    def get(self):
        calls[name] += 1
        return getattr(torch._C.TensorBase, name).__get__(self)
    return property(get)
for name in "shape dtype device requires_grad is_leaf grad grad_fn _base _version layout".split():
    setattr(Shy, name, counted(name))
w = torch.ones(3, requires_grad=True)
shy = torch.ones(3).as_subclass(Shy)
for step in range(3):
    y = shy * w
    loss = y.sum()
    loss.backward()
    shy.add_(1)
y = shy * w
shy.add_(1)
kept = [w.grad]
y.sum().backward()
""",
    "a thread that raises": """
import threading
heard = []
threading.excepthook = lambda args: heard.append((args.exc_type.__name__, str(args.exc_value)))
def work():
    torch.ones(3, requires_grad=True).add_(1)
""" + LOOP + """
for each in range(2):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
kept.append(heard)
threading.excepthook = threading.__excepthook__
""",
    "nested watch()": """
import graphlab
with graphlab.watch() as inner:
""" + textwrap.indent(LOOP, "    ") + """
kept.append(inner.trace.unseen)
try:
    with graphlab.watch():
        torch.ones(3, requires_grad=True).add_(1)
except RuntimeError as error:
    kept.append(str(error))
""" + LOOP + BROKEN,
    "a compiled module": """
import torch._dynamo
torch._dynamo.reset()
from torch._dynamo.testing import CompileCounter
counter = CompileCounter()
net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
fast = torch.compile(net, backend=counter)
net2 = torch.nn.Linear(3, 3)
net2.compile(backend=counter)
@torch.compile(backend=counter)
def penalty(x):
    y = x * 2
    y.add_(1)
    print(end="")
    return y.sum()
optimizer = torch.optim.Adam([*net.parameters(), *net2.parameters()], foreach=True)
for rows in 4, 4, 5, 6:
    x = torch.randn(rows, 3)
    x[0] = 2.0
    loss = fast(x).mean() + net2(x).mean() + penalty(net.get_parameter("0.weight"))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kept = [loss, *net.parameters(), counter.frame_count, counter.op_count]
torch._dynamo.reset()
""",
    "a compiled module with hooks": """
import torch._dynamo
torch._dynamo.reset()
net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
net[0].register_forward_hook(lambda module, args, out: out * 2)
fast = torch.compile(net, backend="eager")
fast(torch.ones(2, 3)).sum().backward()
kept = [each.grad for each in net.parameters()]
torch._dynamo.reset()
""",
    "a stale nested tensor": """
kept = [1]
parts = [torch.randn(2, 3), torch.randn(3, 3)]
x = torch.nested.nested_tensor(parts, layout=torch.jagged).requires_grad_()
y = x * 1
loss = (y * y).sum()
y.add_(1)
loss.backward()
""",
    "parameters that are swapped": """
torch.__future__.set_swap_module_params_on_conversion(True)
net = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
try:
    net.double()
finally:
    torch.__future__.set_swap_module_params_on_conversion(False)
kept = [*net.parameters()]
""",
    "a function that the program patches": """
import importlib
calls = {"add_": 0}
before, original = vars(torch.Tensor).get("add_"), torch.Tensor.add_
def counting(*args, **kwargs):
    calls["add_"] += 1
    return original(*args, **kwargs)
torch.Tensor.add_ = counting
try:
    sys.modules.pop("torch.utils.show_pickle", None)
    importlib.import_module("torch.utils.show_pickle")
    kept = [torch.zeros(2).add_(1), torch.Tensor.add_ is counting]
finally:
    del torch.Tensor.add_
    if before is not None:
        torch.Tensor.add_ = before
""",
}  # fmt: skip
