"""rowhouse.torch - torch.nn.Embedding and its kin, with their rows on servers.

    import rowhouse
    import rowhouse.torch as rt

    emb = rt.Embedding(1000000, 64, padding_idx=0, name="words", optimizer=rowhouse.SGD(0.1))
    for ids, labels in batches:
        loss = model(emb(ids), labels)
        loss.backward()              # collects the step's gradients of emb
        optimizer.step()             # torch's own, for the layers that torch holds
        rt.step()                    # one push per table, then the worker's clock ends

Every gradient between two steps adds up, as in a tensor's .grad, and goes out once; the servers apply
the table's optimizer. rt.Optimizer does the same as an object with param_groups, for lr schedulers.

emb.weight is no tensor but a handle with the habits of one: requires_grad, torch.nn.init.*_, reading
and writing of rows. The modules are in no model.parameters(), which are for torch's optimizers; and in
model.state_dict() only by the name and shape of their table. rt.Parameter is for dense tensors.

A model is kept in two places: client.save("epoch-1") has the rows and all else that servers know; then
torch.save(model.state_dict(), "epoch-1.pt") the layers, and which checkpoint they go with. In a new
process, beside servers that were started with --restore epoch-1, load_state_dict checks that it is this
one, and raises RuntimeError where it is another.

Several workers run the same program. What changes a table as a whole (torch.nn.init.*_(emb.weight),
.data.copy_, _weight, from_pretrained, load_state_dict with rows in it) all of them call: rank 0 does
it, and the others wait for it."""
from .bag import EmbeddingBag
from .embedding import Embedding
from .optim import Optimizer
from .parameter import Parameter
from .shared import default_client
from .steps import step
from .weight import Weight

__all__ = ["Embedding", "EmbeddingBag", "Optimizer", "Parameter", "Weight", "default_client", "step"]
