# Memcheck's report of an ended program, a line for each kind of loss: how many blocks are
# lost, or how often a file is open, and who allocated or opened the first, innermost frame first.
# What a process inherits, and what the C library opens for itself, has no stack of ours.

function flush_record() {
    if (what != "" && frames != "") {
        if (!(what in count)) order[++kinds] = what
        if (!(what in count)) stack[what] = frames
        count[what] += n
    }
    what = frames = ""
    depth = 0
}
/are definitely lost in loss record/ {
    flush_record()
    for (i = 2; i <= NF; i++) if ($i == "blocks") n = $(i - 1)
    gsub(",", "", n)
    what = "blocks are definitely lost (" ++records ")"
    next
}
/^Open file descriptor [0-9]+: [^\/]/ {
    flush_record()
    n = 1
    what = "descriptors are open on " $5
    next
}
/^   (at|by) 0x/ {
    name = $3
    # The allocator, the system call and libuv are not what is asked for.
    if (what != "" && /\([a-z_]+\.c:[0-9]+\)/ && !/vg_replace|openat64|clone|pthread/ && depth < 7) {
        frames = frames (depth ? "\n        by " : "\n        at ") name " " $4
        depth++
    }
    next
}
/^ *$/ { flush_record() }
/definitely lost:/ { lost = $0 }
END {
    flush_record()
    for (k = 1; k <= kinds; k++) {
        shown = order[k]
        sub(/ \([0-9]+\)$/, "", shown)
        if (count[order[k]] == 1) sub(/^blocks are/, "block is", shown)
        print "    " count[order[k]] " " shown stack[order[k]]
    }
    if (!kinds) print "    nothing is lost, no descriptor is open"
}
