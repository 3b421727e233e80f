/*
 * What is said of a panic. The message is known and goes out at once, whatever becomes of the
 * process. The lines of the traceback are in debug information, and reading that takes long
 * (base/symbol.c): a task leaves it to a thread of the framework's lane, where what hangs in
 * others' is not waited for. Each part is one write, and says whose it is, for others may panic at
 * the same time.
 */
#include "base/symbol.h"
#include "gee/panic.h"
#include "sync/pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void say(gee_buf *b) {
    if (write(STDERR_FILENO, gee_buf_head(b), gee_buf_size(b)) < 0)
        perror("gee: panic");
    gee_buf_free(b);
}

static void message(gee_buf *out, const gee_panic_info *info) {
    gee_buf_printf(
        out, "gee: panic: %s\n  at %s, task %" PRIu64 " \"%s\" on worker %d, created at %s\n",
        info->message, info->site, info->task_id, info->task_name, info->worker, info->created_at);
}

static void traceback(gee_buf *out, const gee_panic_info *info) {
    gee_buf_printf(out, "  traceback of task %" PRIu64 ":\n", info->task_id);
    gee_frames_describe(out, info->frames, info->nframes);
}

static void say_traceback(void *info) {
    gee_buf out = {0};
    traceback(&out, info);
    say(&out);
}

void gee_panic_print(const gee_panic_info *info) {
    gee_buf out = {0};
    message(&out, info);
    if (gee_task_self() == NULL) {
        traceback(&out, info);
        say(&out);
        return;
    }
    say(&out);
    gee_panic_info kept = *info; /* the worker's own is the next one's as soon as this task parks */
    if (gee_blocking_in(&gee_framework_lane, NULL, say_traceback, &kept) < 0)
        say_traceback(&kept);
}
