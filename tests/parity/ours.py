"""ours.py - a case played on rowhouse: over local:, or over tcp:// with real servers, whose processes
and clients serve one case after the other; its table is dropped."""
import rowhouse
from servers import Servers

TIMEOUT = 30


class Jobs:
    """The jobs that cases are played in, begun when first asked for."""

    def __init__(self):
        self.jobs = {}

    def clients(self, transport, shards, mode, world):
        key = (transport, shards, mode, world)
        if key not in self.jobs:
            servers = None if transport == "local" else Servers(shards)
            self.jobs[key] = servers, [
                rowhouse.connect(f"local:{shards}" if servers is None else servers.addresses,
                                 rank=rank, world=world, mode=mode, timeout=TIMEOUT)
                for rank in range(world)]
        return self.jobs[key][1]

    def close(self):
        for servers, clients in self.jobs.values():
            for client in clients:
                client.close()
            if servers is not None and any(servers.stop()):
                raise RuntimeError("a server did not end well")
        self.jobs = {}


class Ours:
    def __init__(self, case, jobs, transport, shards):
        self.case, self.name = case, f"{transport} with {shards} shards"
        self.clients = jobs.clients(transport, shards, case.mode, case.world)
        kind, arguments = case.init
        self.tables = [client.table(
            case.name, case.rows, case.dim, init=getattr(rowhouse.init, kind)(*arguments), seed=case.number,
            optimizer=getattr(rowhouse, case.optimizer)(**case.arguments), **case.options)
            for client in self.clients]
        self.began = self.clients[0].clock
        if case.first is not None:
            self.tables[0].write(case.ids, case.first)
            self.tick()

    def tick(self):
        self.began += 1
        for client in self.clients:
            client.tick()

    def clock(self, number, clock):
        self.freeze(clock.freezes)
        if clock.write is not None:
            self.tables[clock.write.worker].write(self.case.ids[clock.write.places], clock.write.grads)
        for table, lr in zip(self.tables, clock.lrs):
            table.set_lr(lr)
        for push in clock.pushes:
            table, ids = self.tables[push.worker], self.case.ids[push.places]
            if push.bag is None:
                table.push(ids, push.grads)
            else:
                table.push_bags(ids, push.bag.offsets, push.grads, **push.bag.named())
        for client in self.clients:
            client.tick()

    def freeze(self, freezes):
        table = self.tables[0]
        for f in freezes:
            until = 0 if f.until == float("inf") else self.began + int(f.until)
            if f.places is not None:
                ids = self.case.ids[f.places]
                table.unfreeze_ids(ids) if f.until == 0 else table.freeze_ids(ids, until_clock=until)
            elif f.until == 0:
                table.unfreeze(f.first, f.count)
            else:
                table.freeze(f.first, f.count, until_clock=until)

    def pooled(self, push):
        return self.tables[push.worker].pull_bags(self.case.ids[push.places], push.bag.offsets,
                                                  **push.bag.named())

    def end(self):
        self.tables[0].drop()
        self.tick()

    def rows(self):
        """As every worker sees them."""
        rows = [table.pull(self.case.ids) for table in self.tables]
        for other in rows[1:]:
            assert (other.view("u4") == rows[0].view("u4")).all(), "two workers see other rows"
        return rows[0]
