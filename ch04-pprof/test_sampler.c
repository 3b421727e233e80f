/*
 * Chapter 4, signal-unsafe: what a handler of SIGPROF asks for, and who has it.
 *
 * The program's malloc has a lock, as every malloc has: here it is one that can be looked at. The
 * signal is sent where it does harm, and not when it happens to come. Who asks for a mutex that he
 * holds himself waits for ever, and that is found at once, in a child, without waiting.
 */
#include "base/tools.h"
#include "pprof/cpu.h"
#include "runtime/worker.h"
#include "t_client.h"
#include "t_program.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- a malloc with a lock (linked with --wrap: chapter.mk) --- */

static pthread_mutex_t heap = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(void (*)(void)) in_malloc; /* called once, in the next malloc; NULL: nothing */
static bool in_child;                     /* of which a deadlock is the end */

void *__real_malloc(size_t n);
void __real_free(void *p);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
void *__wrap_malloc(size_t n);
void __wrap_free(void *p);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

static void say_and_end(const char *what) {
    if (write(STDOUT_FILENO, what, strlen(what)) > 0)
        _exit(3);
    _exit(4);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m) {
    if (in_child && pthread_mutex_trylock(m) == 0)
        return 0;
    if (in_child && m->__data.__owner == gettid())
        say_and_end(m == &heap ? "it waits for malloc" : "it waits for the reader");
    return __real_pthread_mutex_lock(m);
}

void *__wrap_malloc(size_t n) {
    __wrap_pthread_mutex_lock(&heap);
    void (*hook)(void) = atomic_exchange(&in_malloc, NULL);
    if (hook)
        hook();
    void *p = __real_malloc(n);
    pthread_mutex_unlock(&heap);
    return p;
}

void __wrap_free(void *p) {
    __wrap_pthread_mutex_lock(&heap);
    __real_free(p);
    pthread_mutex_unlock(&heap);
}

/* --- a signal, as a timer of this thread sends it --- */

static union sigval value;

static void ring(void) {
    siginfo_t info = {.si_signo = SIGPROF, .si_code = SI_TIMER};
    info.si_value = value;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &info);
    usleep(1); /* the tools deliver it with a call that they know */
}

struct reading {
    int samples;
    bool ring;
};

static void add(const gee_cpu_stack *s, uint64_t periods, void *arg) {
    struct reading *r = arg;
    r->samples += s->nframes > 0 ? (int)periods : 0;
    if (r->ring)
        ring();
    r->ring = false;
}

static void read_samples(struct reading *r) {
    gee_sampler_read(0, add, r);
    gee_sampler_read(0, add, r); /* what has come meanwhile */
}

static int begin(void) {
    int rc = gee_sampler_watch();
    return rc < 0 ? rc : gee_sampler_open(0, gettid(), &value);
}

static _Atomic(void *) kept; /* what the compiler does not leave out */

static int in_the_programs_malloc(void) {
    struct reading r = {0};
    if (begin() < 0)
        return -1;
    in_malloc = ring;
    kept = malloc(100);
    read_samples(&r);
    return r.samples;
}

static int in_the_reader(void) {
    struct reading r = {.ring = true};
    if (begin() < 0)
        return -1;
    ring();
    read_samples(&r);
    return r.samples;
}

/* "it is taken", or what the handler waits for, of one signal after another. */
static void meet(int (*scene)(void), int samples, char *said, size_t size) {
    int ends[2], status;
    size_t n = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        in_child = true;
        int got = scene();
        in_child = false;
        if (got == samples)
            say_and_end("it is taken");
        dprintf(STDOUT_FILENO, "there are %d samples", got);
        _exit(5);
    }
    close(ends[1]);
    for (ssize_t got; n + 1 < size && (got = read(ends[0], said + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        snprintf(said, size, "signal %d ends the process", WTERMSIG(status));
}

static void test_signal_unsafe(void **state) {
    char program[64], reader[64];
    (void)state;
    meet(in_the_programs_malloc, 1, program, sizeof(program));
    meet(in_the_reader, 2, reader, sizeof(reader));
    if (strcmp(program, "it is taken") != 0 || strcmp(reader, "it is taken") != 0) {
        print_error("signal-unsafe: a signal in the middle of the program's malloc: %s; one while "
                    "samples are read: %s\n",
                    program, reader);
        fail();
    }
}

/* --- a server that allocates while it is looked at, and curl --- */

static int64_t cpu_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* More than a period: one signal at least comes while the lock is held. */
static void be_slow(void) {
    for (int64_t end = cpu_ms() + 25; cpu_ms() < end;)
        ;
}

static void storm(gee_req *req) {
    for (int i = 0; i < 20; i++) {
        in_malloc = be_slow;
        kept = malloc(64);
        free(kept);
        gee_sleep(gee_req_ctx(req), 5);
    }
    gee_string(req, 200, "done\n");
}

static int program(void) {
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_GET(gee_root(e), "/storm", storm);
    gee_pprof_routes(gee_root(e), NULL);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc < 0;
}

enum { SECONDS = 1, PATIENCE_S = GEE_POOLS ? 5 : 30 };

struct visit {
    char url[128];
    long status, bytes;
    CURLcode rc;
};

static size_t count_bytes(char *data, size_t size, size_t n, void *arg) {
    struct visit *v = arg;
    (void)data;
    v->bytes += (long)(size * n);
    return size * n;
}

static void *visit(void *arg) {
    struct visit *v = arg;
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, v->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)PATIENCE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, v);
    v->rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &v->status);
    curl_easy_cleanup(curl);
    return NULL;
}

static void test_signal_unsafe_real(void **state) {
    t_program p;
    struct visit profile = {.status = 0}, load = {.status = 0};
    pthread_t t;
    (void)state;
    curl_global_init(CURL_GLOBAL_ALL & ~CURL_GLOBAL_SSL);
    assert_true(t_program_start(&p, NULL, NULL));
    snprintf(profile.url, sizeof(profile.url), "http://127.0.0.1:%d/debug/pprof/profile?seconds=%d",
             p.port, SECONDS);
    snprintf(load.url, sizeof(load.url), "http://127.0.0.1:%d/storm", p.port);
    pthread_create(&t, NULL, visit, &profile);
    usleep(200 * 1000); /* it has begun; if not, what follows goes on for longer than that */
    visit(&load);
    pthread_join(t, NULL);
    if (profile.rc == CURLE_OK)
        t_program_tell(&p, SIGTERM);
    else
        kill(p.pid, SIGKILL);
    int status = t_program_finish(&p);
    if (profile.rc != CURLE_OK) {
        print_error("signal-unsafe on a socket: curl asks for a profile of %d s of a server that "
                    "allocates, and ends with %d; the server answers nobody any more: curl ends "
                    "with %d\n",
                    SECONDS, (int)profile.rc, (int)load.rc);
        fail();
    }
    assert_int_equal(profile.status, 200);
    assert_true(profile.bytes > 0);
    assert_int_equal(load.status, 200);
    assert_int_equal(status, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_signal_unsafe),
    cmocka_unit_test(test_signal_unsafe_real),
};
T_PROGRAM_MAIN(tests, program)
