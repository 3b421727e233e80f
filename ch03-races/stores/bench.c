/*
 * What an operation on a store costs: `make stores` runs this, once for each figure of its table.
 *
 *   bench list
 *   bench time KIND WORKERS WRITES KEYS MS    WRITES of 100 operations are sets
 *   bench bytes KIND KEYS
 *
 * A task on each worker works like requests do: it takes a fork of the store, does a hundred
 * operations with keys that a generator chooses, drops the fork, and begins anew. The
 * CPU time of the process, kernel and parking and all, is divided by the operations. Not the time
 * that has passed: other programs may run on these cores, too. Behind it stands which share of that
 * time the threads were ready to run and had no core: two that never run at the same time do
 * not disturb each other, and such a run says nothing about two workers.
 */
#include "bench.h"
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXTRA = 2, ALL = STORE_KINDS + EXTRA, MOST_KEYS = 1000, MOST_WORKERS = 64, SESSION = 100 };

static const store_kind *const extra[EXTRA] = {&store_keys, &store_flags};

static const store_kind *kind_at(int i) {
    return i < STORE_KINDS ? store_kinds[i] : extra[i - STORE_KINDS];
}

static struct bench {
    const store_kind *kind;
    int workers, writes, keys;
    uint64_t until_ns; /* by the clock of the wall */
    store *store;
    gee_waitgroup done;
    uint64_t operations[MOST_WORKERS];
    int rc;
} bench;

static store_key key[MOST_KEYS];
static char names[MOST_KEYS][16];

static void make_keys(void) {
    for (int i = 0; i < MOST_KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key%d", i);
        store_key_init(&key[i], names[i]);
    }
}

/* --- time --- */

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* How long all threads of the process together have been ready to run without a core. */
static uint64_t delayed_ns(void) {
    uint64_t sum = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;) {
        char path[300];
        unsigned long long delay;
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", d->d_name);
        FILE *file = *d->d_name == '.' ? NULL : fopen(path, "r");
        if (file && fscanf(file, "%*u %llu", &delay) == 1)
            sum += delay;
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    return sum;
}

/* xorshift64: a few instructions, and the same choice for each kind. */
static uint32_t chance(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 32);
}

static int session(gee_ctx *ctx, uint64_t *x) {
    static const char *const values[] = {"0 is this value!", "1 is this value!"};
    char out[32];
    store *s = bench.kind->fork(bench.store);
    int rc = s ? 0 : UV_ENOMEM;
    for (int i = 0; i < SESSION && rc >= 0; i++) {
        const store_key *k = &key[(uint64_t)chance(x) * (unsigned)bench.keys >> 32];
        uint32_t what = chance(x);
        if ((uint64_t)what * 100 >> 32 < (unsigned)bench.writes)
            rc = bench.kind->set(ctx, s, k, values[what & 1]);
        else
            rc = (int)bench.kind->get(ctx, s, k, out, sizeof(out));
    }
    if (s)
        bench.kind->drop(s);
    return rc;
}

static void work(gee_ctx *ctx, void *arg) {
    uint64_t *n = arg, x = 88172645463325252U + (uint64_t)gee_worker_index();
    do { /* once, also if the time was over before this thread had a core */
        int rc = session(ctx, &x);
        if (rc < 0)
            bench.rc = rc;
        *n += SESSION;
    } while (uv_hrtime() < bench.until_ns && bench.rc >= 0);
    gee_waitgroup_done(&bench.done);
}

static int fill(gee_ctx *ctx) {
    int rc = 0;
    for (int i = 0; i < bench.keys && rc == 0; i++)
        rc = bench.kind->set(ctx, bench.store, &key[i], "0 is this value!");
    for (int i = 0; i < bench.keys && rc >= 0; i++) /* so that a sync.Map has them in read */
        rc = (int)bench.kind->get(ctx, bench.store, &key[i], NULL, 0);
    return rc;
}

static void time_it(gee_ctx *ctx, void *arg) {
    const uint64_t *ms = arg;
    uint64_t operations = 0;
    bench.store = bench.kind->create();
    bench.rc = bench.store ? fill(ctx) : UV_ENOMEM;
    gee_waitgroup_add(&bench.done, bench.workers);
    uint64_t before = cpu_ns(), delayed = delayed_ns();
    bench.until_ns = uv_hrtime() + *ms * 1000000;
    for (int i = 0; i < bench.workers; i++)
        if (gee_go_on(i, ctx, work, &bench.operations[i]) < 0)
            gee_waitgroup_done(&bench.done);
    gee_waitgroup_wait(NULL, &bench.done);
    uint64_t spent = cpu_ns() - before, all = *ms * 1000000 * (uint64_t)bench.workers;
    double share = (double)(delayed_ns() - delayed) / (double)all;
    for (int i = 0; i < bench.workers; i++)
        operations += bench.operations[i];
    if (bench.rc >= 0 && operations > 0)
        printf("%.2f %.3f\n", (double)spent / (double)operations, share);
    if (bench.store)
        bench.kind->drop(bench.store);
}

/* --- bytes --- */

static void count_bytes(gee_ctx *ctx, void *arg) {
    (void)arg;
    size_t before = mallinfo2().uordblks;
    bench.store = bench.kind->create();
    bench.rc = bench.store ? fill(ctx) : UV_ENOMEM;
    if (bench.rc >= 0)
        printf("%zu\n", mallinfo2().uordblks - before);
    if (bench.store)
        bench.kind->drop(bench.store);
}

/* --- the command line --- */

static int number(const char *text, int least, int most) {
    char *end;
    long n = strtol(text, &end, 10);
    return *text && *end == '\0' && n >= least && n <= most ? (int)n : -1;
}

static const store_kind *kind_named(const char *name) {
    for (int i = 0; i < ALL; i++)
        if (strcmp(kind_at(i)->name, name) == 0)
            return kind_at(i);
    return NULL;
}

static int list(void) {
    for (int i = 0; i < ALL; i++)
        printf("%s\n", kind_at(i)->name);
    return 0;
}

static int usage(void) {
    fprintf(stderr, "bench list | time KIND WORKERS WRITES KEYS MS | bytes KIND KEYS\n");
    return 2;
}

static int run(gee_task_fn body, uint64_t *ms) {
    gee_config cfg = {.workers = bench.workers};
    make_keys();
    int rc = gee_run(&cfg, body, ms);
    if (rc == 0 && bench.rc < 0)
        fprintf(stderr, "%s: %s\n", bench.kind->name, uv_strerror(bench.rc));
    return rc < 0 || bench.rc < 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list();
    bool time = argc == 7 && strcmp(argv[1], "time") == 0;
    if (!time && !(argc == 4 && strcmp(argv[1], "bytes") == 0))
        return usage();
    bench.kind = kind_named(argv[2]);
    bench.workers = time ? number(argv[3], 1, MOST_WORKERS) : 1;
    bench.writes = time ? number(argv[4], 0, 100) : 0;
    bench.keys = number(argv[time ? 5 : 3], 1, MOST_KEYS);
    int ms = time ? number(argv[6], 1, 60000) : 1;
    if (bench.kind == NULL || bench.workers < 0 || bench.writes < 0 || bench.keys < 0 || ms < 0)
        return usage();
    uint64_t for_ms = (uint64_t)ms;
    return run(time ? time_it : count_bytes, &for_ms);
}
