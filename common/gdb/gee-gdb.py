"""gdb and the tasks of a program that uses libgee: a running one, or what it left as a core file.

  gdb -x gee-gdb.py -p PID          gdb -x gee-gdb.py PROGRAM CORE

  gee tasks            all tasks: what each does, since when, where it was created
  gee task N           the same of one, and its backtrace
  gee task N COMMAND   any command of gdb on its stack: bt, bt full, frame 4, info locals, print x
  gee task all bt      of all
  gee ctxs N           the ctxs under which it runs, and which of them end its wait
  gee workers          the threads that carry tasks
  gee core FILE        a core file of a live process that has the stacks of all tasks

gdb knows threads, and a parked task has none. What it has is its stack, and on top of that the
registers that Boost's jump_fcontext saved when the task was left. They are shown to gdb as the caller
of the frame in which the selected thread is: an unwinder says so for as long as one command takes. No
register is written, no function of the program is called, nothing is changed in it: that is why
a core file will do, and why a server goes on as if nothing had been when gdb lets it go.

All else is read from the structures that runtime/task.h, runtime/worker.h and ctx/tree.h declare, as
debug/census.c reads them. It needs the debug information of libgee (-g), and gdb 12 or newer.
"""

import errno
import re
import struct
import time

import gdb
import gdb.unwinder

STEPS = 10_000_000  # of a list; one that is longer goes in a circle
ERRORS = {-4095: "EOF", -errno.EOWNERDEAD: "EPANIC"}


# --- reading ---

def container(pointer, type_name, member):
    kind = gdb.lookup_type(type_name)
    at = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    return gdb.Value(int(pointer) - at).cast(kind.pointer()).dereference()


def each(head):
    """The links of a list. The process may have been stopped while it changed it."""
    link = head["next"]
    for _ in range(STEPS):
        if int(link) == int(head.address):
            return
        after = link["next"]
        if int(after["prev"]) != int(link):
            raise gdb.MemoryError("a list is not whole")
        yield link
        link = after


def text(pointer):
    return pointer.string(errors="replace") if int(pointer) else ""


def error_name(code):
    return ERRORS.get(code) or errno.errorcode.get(-code, str(code))


def static_of(name, path):
    """A static variable of the file; there are others of its name."""
    for symbol in gdb.lookup_static_symbols(name):
        if symbol.symtab.filename.endswith(path):
            return symbol.value()
    return None


def function_at(pc):
    block = gdb.block_for_pc(pc)
    while block and block.function is None:
        block = block.superblock
    return block and block.function


def is_in(pc, path):
    symtab = gdb.find_pc_line(pc).symtab if pc > 0 else None
    return symtab is not None and symtab.filename.endswith(path)


def runtime():
    if gdb.selected_thread() is None:
        raise gdb.GdbError("There is no process: run the program, attach to it, or open a core file.")
    current = static_of("current", "runtime/runtime.c")
    if current is None:
        try:
            gdb.parse_and_eval("(void *)&gee_run")
        except gdb.error:
            raise gdb.GdbError("This program has no libgee in it.")
        raise gdb.GdbError("This libgee has no debug information: was it built without -g, or "
                           "stripped? Its .debug file beside it, or a debuginfod, will do.")
    if int(current) == 0:
        raise gdb.GdbError("No task exists: gee_run has not been called, or has returned.")
    return current.dereference()


def spawned():
    """How many tasks there are, with those that no worker has yet: each worker counts its own, and
    of the kinds that are counted theirs is the first."""
    rows = static_of("rows", "base/count.c")
    first, last = rows.type.range()
    return sum(int(rows[i]["n"][0]) for i in range(first, last + 1))


class Moment:
    """The process as it is stopped: its workers, its tasks and its time."""

    def __init__(self):
        self.rt = runtime()
        self.workers = [self.rt["workers"][i] for i in range(int(self.rt["nworkers"]))]
        self.notes, self.tasks = [], []
        for w in self.workers:
            try:
                self.tasks += [Task(self, container(l, "struct gee_task", "all"))
                               for l in each(w["tasks"])]
            except gdb.MemoryError as e:
                self.notes.append(f"worker {int(w['index'])}: the rest of its tasks is not shown. It was "
                                  f"stopped while it changed their list; or they are on stacks that a "
                                  f"core lacks, and `gee core` makes one that does not: {e}")
        self.tasks.sort(key=lambda t: (int(t.at["created_ns"]), t.id))
        missing = spawned() - len(self.tasks)
        if missing > 0 and not self.notes:
            self.notes.append(f"{missing} more: spawned for another worker, which has not looked yet")
        self.now_ns = self.clock()

    def clock(self):
        """Of a live process the machine's, of a core the latest that it had looked at."""
        connection = gdb.selected_inferior().connection
        if connection and connection.type == "native" and not self.rt["sim"]:
            return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return max(int(w["now_ns"]) for w in self.workers)

    def ago(self, ns):
        return f"{max(0, self.now_ns - int(ns)) / 1e9:.1f} s"

    def task(self, number):
        for t in self.tasks:
            if t.id == number:
                return t
        raise gdb.GdbError(f"There is no task {number}: `gee tasks` lists those that there are.")


class Task:
    def __init__(self, moment, at):
        self.moment, self.at = moment, at
        self.id = int(at["id"])
        self.worker = at["worker"].dereference()
        self.state = str(at["state"]).rpartition("_")[2].lower()
        self.name = at["name"].string(errors="replace")

    def reason(self):
        texts = static_of("reason_text", "runtime/task.c")
        if texts is None or texts.is_optimized_out:  # clang makes a table of offsets of it
            return str(self.at["reason"])[len("GEE_WAIT_"):].replace("_", " ").lower()
        return text(texts[int(self.at["reason"])])

    def owner(self):
        return Ctx(self.moment, self.at["owner"])

    def deaf(self):
        """Its owner's end does not end its wait."""
        ended = [c.address for c in Ctx(self.moment, self.at["wait_ctx"]).up(True)] \
            if int(self.at["wait_ctx"]) else []
        return self.owner().address not in ended

    def request(self):
        """What http/serve.c serves in this task, or None."""
        function = function_at(int(self.at["fn"]))
        if not (function and function.name == "serve" and
                function.symtab.filename.endswith("http/serve.c")):
            return None
        conn = self.at["arg"].cast(gdb.lookup_type("struct gee_conn").pointer())
        x = conn["x"] if int(conn) else conn
        return x if int(x) and int(x["start_ns"]) else None

    def describe(self):
        t, ago = self.at, self.moment.ago
        head = f"task {self.id:<4} {self.state:<8}"
        if self.state == "waiting":
            head += f" ({self.reason()}) {ago(t['since_ns'])} at {text(t['parked_at'])}"
        lines = [head, f"\"{self.name}\", worker {int(self.worker['index'])}, created at "
                 f"{text(t['created_at'])}, age {ago(t['created_ns'])}"]
        x = self.request()
        if x is not None:
            lines.append(f"request: {text(x['method'])} {text(x['target'])}, for {ago(x['start_ns'])}")
        ctx = self.owner()
        if ctx.err:
            deaf = self.state == "waiting" and self.deaf()
            lines.append(f"its ctx {ctx.state()}" + (" AND IT DOES NOT LISTEN" if deaf else ""))
        return "\n          ".join(line.rstrip() for line in lines)

    def stack(self):
        low = int(self.at["stack"]["base"])
        return range(low, low + int(self.at["stack"]["size"])) if low else None


class Ctx:
    def __init__(self, moment, pointer):
        self.moment, self.address = moment, int(pointer)
        background = static_of("background", "ctx/ctx.c")
        if self.address == 0:
            self.address = int(background.address)
        self.background = self.address == int(background.address)
        self.at = gdb.Value(self.address).cast(background.type.unqualified().pointer()).dereference()
        self.err, self.cause = int(self.at["err"]), int(self.at["cause"])

    def up(self, as_it_ends=False):
        """From here to the background; as it ends: past one that ends without its parent."""
        ctx = self
        for _ in range(STEPS):
            yield ctx
            if ctx.background:
                return
            ctx = Ctx(self.moment, 0 if as_it_ends and ctx.at["detached"] else ctx.at["parent"])

    def state(self):
        if not self.err:
            return "has not ended"
        why = error_name(self.err)
        if self.cause != self.err:
            why += f", because of {error_name(self.cause)}"
        return f"ended {self.moment.ago(self.at['ended_ns'])} ago: {why}"

    def describe(self):
        if self.background:
            return "the background, which never ends"
        c, more = self.at, []
        if int(c["timed"]) == self.address:
            left = (int(c["deadline_ns"]) - self.moment.now_ns) / 1e9
            more.append(f"deadline in {left:.1f} s" if left >= 0 else f"deadline was {-left:.1f} s ago")
        if c["detached"]:
            more.append("ends without its parent")
        if int(c["key"]):
            more.append(f"has a value for {c['key'].format_string(symbols=True)}")
        try:
            more.append(f"watches {sum(1 for _ in each(c['watches']))}")
        except gdb.MemoryError:
            more.append("its watches were being changed")
        return f"ctx {self.address:#x} {self.state()}; " + ", ".join(more)


# --- the stack of a task ---

class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def word(address):
    pointer = gdb.lookup_type("unsigned long").pointer()
    return int(gdb.Value(address).cast(pointer).dereference())


def saved_x86_64(fctx):
    """Below the return address are rbp, rbx, r15 … r12. What is below those depends on how Boost was
    built, so the return address is looked for: into task.c, behind a jump."""
    for at in (0x38, 0x40, 0x48, 0x50):
        if is_in(word(fctx + at) - 1, "runtime/task.c"):
            names = ("rbp", "rbx", "r15", "r14", "r13", "r12")
            regs = {name: word(fctx + at - 8 * (i + 1)) for i, name in enumerate(names)}
            return {**regs, "rip": word(fctx + at), "rsp": fctx + at + 8}
    return None


def saved_aarch64(fctx):
    """d8 … d15, x19 … x30, and then where to go on."""
    if not is_in(word(fctx + 0xa0) - 4, "runtime/task.c"):
        return None
    regs = {f"x{n}": word(fctx + 0x40 + 8 * (n - 19)) for n in range(19, 31)}
    return {**regs, "pc": word(fctx + 0xa0), "sp": fctx + 0xb0}


CPUS = {"i386:x86-64": ("rip", "rsp", saved_x86_64), "aarch64": ("pc", "sp", saved_aarch64)}


class TaskUnwinder(gdb.unwinder.Unwinder):
    """While a task is shown: where the thread is, it was called by the task."""

    def __init__(self):
        super().__init__("gee-task")
        self.regs, self.newest, self.cpu = None, None, None

    def show(self, regs, cpu):
        frame = gdb.newest_frame()
        self.newest = tuple(int(frame.read_register(r)) for r in cpu[:2])
        self.regs, self.cpu = regs, cpu
        gdb.invalidate_cached_frames()

    def hide(self, _event=None):
        if self.regs is not None:
            self.regs = None
            gdb.invalidate_cached_frames()

    def is_newest(self, frame):
        return tuple(int(frame.read_register(r)) for r in self.cpu[:2]) == self.newest

    def __call__(self, pending):
        if self.regs is None or not self.is_newest(pending):
            return None
        # Its id is beneath those of the frames above, or gdb takes the stack for a broken one.
        info = pending.create_unwind_info(FrameId(gdb.Value(self.regs[self.cpu[1]] - 0x100),
                                                  gdb.Value(self.newest[0])))
        kind = gdb.lookup_type("unsigned long")
        for name, value in self.regs.items():
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info


UNWINDER = TaskUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
gdb.events.cont.connect(UNWINDER.hide)


class OnStack:
    """With the task's stack in place of the selected thread's; afterwards all is as it was."""

    def __init__(self, task):
        self.task, self.first = task, 0  # the number of its first frame

    def __enter__(self):
        self.thread = gdb.selected_thread()
        self.level = gdb.selected_frame().level()
        try:
            if not (self.is_current() and self.on_a_thread()):
                self.parked()
        except BaseException:
            self.__exit__()
            raise
        return self

    def is_current(self):
        return int(self.task.worker["current"]) == int(self.task.at.address)

    def on_a_thread(self):
        """It runs: the thread that is on its stack, or was when a signal came."""
        sp = cpu_of()[1]
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            frame = gdb.newest_frame()
            for _ in range(32):
                if frame is None:
                    break
                if int(frame.read_register(sp)) in self.task.stack():
                    gdb.newest_frame().select()
                    return True
                frame = frame.older()
        self.thread.switch()
        return False

    def parked(self):
        if self.task.stack() is None:
            raise gdb.GdbError(f"Task {self.task.id} has not run yet, and has no stack. It will "
                               f"begin with {function_at(int(self.task.at['fn']))}.")
        cpu = cpu_of()
        fctx = int(self.task.at["fctx"])
        regs = cpu[2](fctx) if fctx in self.task.stack() else None
        if regs is None:
            raise gdb.GdbError(f"The saved registers of task {self.task.id} are not where this file "
                               "looks for them. " + ("The core does not have its stack: `gee core` "
                               "makes one that does." if fctx in self.task.stack() and
                               not word(fctx + 0x38) else "Another version of Boost.Context?"))
        UNWINDER.show(regs, cpu)
        frame = gdb.newest_frame()
        while frame and UNWINDER.is_newest(frame):
            frame = frame.older()
        if frame is None:
            raise gdb.GdbError(f"gdb cannot follow the stack of task {self.task.id}.")
        frame.select()
        self.first = frame.level()

    def __exit__(self, *_):
        UNWINDER.hide()
        if self.thread.is_valid():
            self.thread.switch()
            gdb.execute(f"frame {self.level}", to_string=True)

    def backtrace(self, command):
        """What gdb says, without the frames of the thread and those under the task."""
        entries = re.split(r"^(?=#\d+ )", gdb.execute(command, to_string=True), flags=re.M)
        out = []
        for entry in entries:
            number = re.match(r"#(\d+) ", entry)
            if number and int(number[1]) < self.first:
                continue
            if " make_fcontext " in entry.partition("\n")[0]:
                break
            out.append(entry)
        return "".join(out)


def cpu_of():
    name = gdb.selected_frame().architecture().name()
    if name not in CPUS:
        raise gdb.GdbError(f"How Boost.Context saves the registers of {name} is not known here; "
                           f"it is of {', '.join(CPUS)}.")
    return CPUS[name]


def thread_of(worker):
    """By its thread-local variable; without libthread_db nobody knows."""
    before = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            if int(gdb.parse_and_eval("gee_this_worker")) == int(worker.address):
                return f"thread {thread.num} (LWP {thread.ptid[1]})"
    except gdb.error:
        pass
    finally:
        before.switch()
    return "a thread"


# --- the commands ---

def number(word_, usage):
    if not re.fullmatch(r"\d+", word_):
        raise gdb.GdbError(f"Usage: {usage}, where N is a number that `gee tasks` shows.")
    return int(word_)


def without(arg, usage):
    if arg:
        raise gdb.GdbError(f"Usage: {usage}")


class Gee(gdb.Command):
    """The tasks of a program that uses libgee."""

    def __init__(self):
        super().__init__("gee", gdb.COMMAND_STACK, prefix=True)

    def invoke(self, arg, from_tty):
        if arg:
            raise gdb.GdbError(f"There is no `gee {arg.split()[0]}`: `help gee` has what there is.")
        gdb.execute("help gee")


class Command(gdb.Command):
    def __init__(self):
        super().__init__(f"gee {type(self).__name__[4:].lower()}", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        self.dont_repeat()
        try:
            self.say(arg.strip())
        except gdb.MemoryError as e:
            raise gdb.GdbError(f"What is needed for this is not in memory, or not in the core: {e}")
        except (gdb.error, OSError) as e:  # without these words gdb calls it a mistake of this file's
            raise gdb.GdbError(str(e))


class Gee_Tasks(Command):
    """All tasks, the oldest first: gee tasks"""

    def say(self, arg):
        without(arg, "gee tasks")
        moment = Moment()
        print(f"tasks: {len(moment.tasks)}\n")
        for line in [t.describe() for t in moment.tasks] + moment.notes:
            print(line)


class Gee_Task(Command):
    """A task, or a command of gdb on its stack: gee task N|all [bt | bt full | frame 4 | ...]
The frames have the numbers that bt shows. They may begin at 1: what is above is the thread's."""

    def say(self, arg):
        which, _, command = arg.partition(" ")
        n = None if which == "all" else number(which, "gee task N|all [COMMAND]")
        moment = Moment()
        for t in moment.tasks if n is None else [moment.task(n)]:
            if n is None or not command:
                print(t.describe())
            self.on(t, command.strip() or "bt", n is None)

    @staticmethod
    def on(task, command, go_on):
        try:
            with OnStack(task) as stack:
                if re.match(r"(bt|backtrace|where)\b", command):
                    print(stack.backtrace(command), end="")
                else:
                    gdb.execute(command)
        except gdb.GdbError as e:
            if not go_on:
                raise
            print(e)


class Gee_Ctxs(Command):
    """The ctxs under which a task runs, its own first: gee ctxs N"""

    def say(self, arg):
        moment = Moment()
        task = moment.task(number(arg, "gee ctxs N"))
        print(task.describe())
        waits = int(task.at["wait_ctx"]) if task.state == "waiting" else 0
        chain = list(task.owner().up())
        for c in chain:
            print(f"  {c.describe()}" + ("  <- its wait ends with this" if c.address == waits else ""))
        if task.state != "waiting" or waits in [c.address for c in chain]:
            return
        if waits == 0:
            print("its wait ends with none of them")
            return
        print("its wait ends with another one:")
        for c in Ctx(moment, waits).up():
            print(f"  {c.describe()}")


class Gee_Workers(Command):
    """The threads that carry tasks: gee workers"""

    def say(self, arg):
        without(arg, "gee workers")
        moment = Moment()
        for w in moment.workers:
            own = [t for t in moment.tasks if int(t.worker.address) == int(w.address)]
            current = [t for t in own if int(t.at.address) == int(w["current"])]
            what = f"runs task {current[0].id} \"{current[0].name}\"" if current else "runs no task"
            print(f"worker {int(w['index'])}: {thread_of(w)}, {what}; tasks {len(own)}, "
                  f"runnable {int(w['runq_len'])}, timers {int(w['timers']['n'])}; "
                  f"looked at the clock {moment.ago(w['now_ns'])} ago")
        for note in moment.notes:
            print(note)


class Gee_Core(Command):
    """A core file that has the stacks of all tasks: gee core FILE
Below each stack is a guard that cannot be read, and gcore leaves out all that is mapped around
what it cannot read. So the file is gcore's, and what it lacks is put there. The process goes on."""

    def say(self, arg):
        if not arg:
            raise gdb.GdbError("Usage: gee core FILE")
        moment = Moment()
        gdb.execute(f"gcore {arg}", to_string=True)
        stacks = [t.stack() for t in moment.tasks if t.stack()]
        for w in moment.workers:
            for i in range(int(w["stacks"]["n"])):
                free = w["stacks"]["free"][i]
                stacks.append(range(int(free["base"]), int(free["base"]) + int(free["size"])))
        with open(arg, "r+b") as core:
            for offset, start, size in segments(core):
                if any(s.start < start + size and s.stop > start for s in stacks):
                    fill(core, offset, start, size)
        print(f"saved {arg}, with the stacks of {len(moment.tasks)} tasks")


def segments(core):
    """(place in the file, address, bytes) of what was mapped: the program headers of an ELF64."""
    head = core.read(64)
    table, = struct.unpack_from("=Q", head, 32)
    each_, n = struct.unpack_from("=HH", head, 54)
    for i in range(n):
        core.seek(table + i * each_)
        kind, _, offset, address, _, size = struct.unpack_from("=IIQQQQ", core.read(40))
        if kind == 1:  # PT_LOAD
            yield offset, address, size


def fill(core, offset, start, size, page=4096):
    inferior = gdb.selected_inferior()
    for at in range(0, size, page):
        try:
            data = bytes(inferior.read_memory(start + at, page))
        except gdb.MemoryError:
            continue  # the guard
        if any(data):
            core.seek(offset + at)
            core.write(data)


Gee()
Gee_Tasks()
Gee_Task()
Gee_Ctxs()
Gee_Workers()
Gee_Core()
