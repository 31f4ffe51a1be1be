/* A load generator for the hub: opens sockets, writes messages, and checks what comes back.
 *
 *   load --port P --cases FILE --tokens FILE [--readers N] [--writers N]
 *        [--window W] [--messages M | --seconds S] [--pending R] [--pid HUB]
 *
 * Socket i enters case i % cases as token i % tokens (one of either per line). When all have caught
 * up, each writer keeps W messages outstanding until all writers together have sent M, or for S
 * seconds. Without writers the sockets are held, and RFC 6455 pings answered, until standard input
 * closes. One JSON object goes to standard output: without writers as soon as all have caught up,
 * otherwise when every socket has every event. With --pid it
 * tells the CPU seconds that the hub has used between the first message and that moment.
 *
 * It promises that nothing wrong goes unnoticed: an ack of another key, an event that is missing,
 * double or out of order, an error frame and a closed socket are each counted, and any of them makes
 * the exit status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
enum { CHUNK = 1 << 18, FRAME = 1 << 13, MAX_WINDOW = 256, SETTLE_S = 30 };

typedef struct {
    char **lines;
    size_t count;
} Lines;

typedef struct {
    char *bytes;
    size_t count;
} Held;

typedef enum { CONNECTING, ENTERING, LIVE, GONE } Stage;

typedef struct {
    int fd;
    Stage stage;
    bool writes;
    bool waits_for_room; /* epoll tells when the socket takes more */
    uint32_t number;
    uint64_t seq;        /* of the last event */
    uint64_t sent, acked;
    int64_t *sent_at;    /* of the messages that are outstanding, a ring of `window` */
    Held in, out;        /* a part of a frame; what the hub has not taken yet */
} Socket;

typedef struct {
    uint32_t *micros;
    size_t count, room;
} Times;

static struct {
    int port;
    uint32_t readers, writers, window, pending;
    uint64_t messages;
    double seconds;
    uint32_t pid;
    Lines cases, tokens;
} options = {.window = 1, .pending = 50};

static Socket *sockets;
static uint32_t total, opened, live, entering;
static uint64_t *heads; /* by case: the highest seq that any socket has heard of */
static uint64_t sent, acked, delivered, errors, wrong_acks, wrong_seqs, closed;
static int64_t began, stop_at, last_ack, last_delivery;
static double cpu_used;
static bool writing;
static Times ack_times, delivery_times;
static int poller;
static char run_id[17];

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *grow(void *memory, size_t bytes) {
    memory = realloc(memory, bytes);
    if (memory == NULL && bytes) die("out of memory");
    return memory;
}

static void note(Times *times, int64_t nanos) {
    if (times->count == times->room) {
        times->room = times->room ? times->room * 2 : 1 << 16;
        times->micros = grow(times->micros, times->room * sizeof *times->micros);
    }
    times->micros[times->count++] = (uint32_t)(nanos / 1000);
}

static Lines read_lines(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) die("%s: %s", path, strerror(errno));
    Lines found = {0};
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (!*line) continue;
        found.lines = grow(found.lines, (found.count + 1) * sizeof *found.lines);
        found.lines[found.count++] = strdup(line);
    }
    free(line);
    fclose(file);
    if (!found.count) die("%s is empty", path);
    return found;
}

/* Out. */

static void lose(Socket *socket) {
    if (socket->stage == GONE) return;
    if (socket->stage != LIVE) entering--;
    socket->stage = GONE;
    closed++;
    close(socket->fd);
}

static void watch(Socket *socket, int change, bool for_room) {
    struct epoll_event event = {EPOLLIN | (for_room ? EPOLLOUT : 0), {.u32 = socket->number}};
    if (epoll_ctl(poller, change, socket->fd, &event) < 0) die("epoll: %s", strerror(errno));
    socket->waits_for_room = for_room;
}

static void flush(Socket *socket) {
    Held *out = &socket->out;
    ssize_t taken = send(socket->fd, out->bytes, out->count, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) {
        lose(socket);
        return;
    }
    if (taken > 0) memmove(out->bytes, out->bytes + taken, out->count -= (size_t)taken);
    bool more = out->count > 0;
    if (more != socket->waits_for_room) watch(socket, EPOLL_CTL_MOD, more);
    if (!more) {
        free(out->bytes);
        *out = (Held){0};
    }
}

static void put(Socket *socket, const char *bytes, size_t count) {
    Held *out = &socket->out;
    out->bytes = grow(out->bytes, out->count + count);
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    flush(socket);
}

static void put_frame(Socket *socket, int opcode, const char *payload, size_t size) {
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char frame[FRAME + 8];
    if (size > FRAME) die("a frame of %zu bytes is too large", size);
    size_t head = 2;
    frame[0] = (unsigned char)(0x80 | opcode);
    if (size < 126) {
        frame[1] = (unsigned char)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126;
        frame[head++] = (unsigned char)(size >> 8);
        frame[head++] = (unsigned char)size;
    }
    memcpy(frame + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) frame[head + i] = (unsigned char)payload[i] ^ mask[i & 3];
    put(socket, (char *)frame, head + size);
}

static void put_text(Socket *socket, const char *format, ...) {
    char text[FRAME];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size >= (int)sizeof text) die("a token is too long");
    put_frame(socket, TEXT, text, (size_t)size);
}

static void key_of(char key[64], Socket *socket, uint64_t count) {
    snprintf(key, 64, "%s-%u-%llu", run_id, socket->number, (unsigned long long)count);
}

static void write_more(Socket *socket) {
    while (writing && socket->stage == LIVE && socket->sent - socket->acked < options.window) {
        if (options.messages ? sent >= options.messages : now() >= stop_at) return;
        char key[64];
        key_of(key, socket, socket->sent);
        int64_t at = now();
        socket->sent_at[socket->sent++ % options.window] = at;
        sent++;
        put_text(socket,
                 "{\"type\":\"message\",\"key\":\"%s\",\"text\":\"%lld The scan of the knee was "
                 "read by both surgeons; they propose the twelfth, and ask whether the pain at "
                 "night has become better since Monday.\"}",
                 key, (long long)at);
    }
}

/* In. */

static uint64_t seq_in(const char *text, size_t size) {
    const char *found = memmem(text, size, "\"seq\":", 6);
    return found ? strtoull(found + 6, NULL, 10) : 0;
}

static uint64_t *head_of(Socket *socket) {
    return &heads[socket->number % options.cases.count];
}

static void hear_of(Socket *socket, uint64_t seq) {
    uint64_t *head = head_of(socket);
    if (seq > *head) *head = seq;
}

static void take_event(Socket *socket, const char *text, size_t size) {
    uint64_t seq = seq_in(text, size);
    if (seq != socket->seq + 1 && socket->stage == LIVE) wrong_seqs++;
    socket->seq = seq;
    hear_of(socket, seq);
    const char *body = writing ? memmem(text, size, "\"text\":\"", 8) : NULL;
    int64_t at = body ? strtoll(body + 8, NULL, 10) : 0;
    if (at < began) return; /* not of this run */
    last_delivery = now();
    delivered++;
    note(&delivery_times, last_delivery - at);
}

static void take_answer(Socket *socket, const char *text, size_t size, bool is_ack) {
    if (!is_ack) {
        if (!errors++) fprintf(stderr, "%.*s\n", (int)size, text);
        if (socket->acked == socket->sent) return;
    }
    char key[64];
    key_of(key, socket, socket->acked);
    const char *found = memmem(text, size, "\"key\":\"", 7);
    bool own = found && !strncmp(found + 7, key, strlen(key)) && found[7 + strlen(key)] == '"';
    bool doubled = memmem(text, size, "\"dup\":true", 10) != NULL;
    if (!own || doubled) {
        wrong_acks++;
        return;
    }
    int64_t at = socket->sent_at[socket->acked++ % options.window];
    if (is_ack) {
        last_ack = now();
        acked++;
        note(&ack_times, last_ack - at);
        hear_of(socket, seq_in(text, size));
    }
    write_more(socket);
}

static void take_text(Socket *socket, const char *text, size_t size) {
    static const char head[] = "{\"type\":\"";
    if (size < sizeof head || memcmp(text, head, sizeof head - 1)) die("no frame of the hub");
    const char *type = text + sizeof head - 1;
    if (!strncmp(type, "event\"", 6)) {
        take_event(socket, text, size);
    } else if (!strncmp(type, "ack\"", 4)) {
        take_answer(socket, text, size, true);
    } else if (!strncmp(type, "error\"", 6)) {
        take_answer(socket, text, size, false);
    } else if (!strncmp(type, "hello\"", 6)) {
        const char *token = options.tokens.lines[socket->number % options.tokens.count];
        put_text(socket, "{\"type\":\"auth\",\"tail\":0,\"token\":\"%s\"}", token);
    } else if (!strncmp(type, "caught_up\"", 10) && socket->stage == ENTERING) {
        socket->seq = seq_in(text, size);
        hear_of(socket, socket->seq);
        socket->stage = LIVE;
        entering--;
        live++;
    }
}

/* Takes the frames that are whole, and gives how many bytes they had. */
static size_t take_frames(Socket *socket, char *bytes, size_t count) {
    size_t at = 0;
    while (socket->stage != GONE && count - at >= 2) {
        unsigned char *frame = (unsigned char *)bytes + at;
        uint64_t size = frame[1] & 127;
        size_t head = size == 127 ? 10 : size == 126 ? 4 : 2;
        if (count - at < head) break;
        if (head > 2) {
            size = 0;
            for (size_t i = 2; i < head; i++) size = size << 8 | frame[i];
        }
        if (size > CHUNK / 2) die("a frame of %llu bytes is too large", (unsigned long long)size);
        if (count - at < head + size) break;
        char *payload = (char *)frame + head;
        char after = payload[size];
        payload[size] = 0; /* so that strings end where the frame does */
        if (frame[0] == (0x80 | TEXT)) take_text(socket, payload, size);
        else if (frame[0] == (0x80 | PING)) put_frame(socket, PONG, payload, size);
        else if (frame[0] == (0x80 | CLOSE)) lose(socket);
        else die("a frame that the hub does not send: %02x", frame[0]);
        payload[size] = after;
        at += head + size;
    }
    return at;
}

static size_t take_handshake(Socket *socket, const char *bytes, size_t count) {
    const char *end = memmem(bytes, count, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    if (strncmp(bytes, "HTTP/1.1 101 ", 13)) die("refused: %.*s", (int)(count), bytes);
    socket->stage = ENTERING;
    return (size_t)(end - bytes) + 4;
}

static void receive(Socket *socket) {
    static char chunk[CHUNK + 1];
    Held *in = &socket->in;
    memcpy(chunk, in->bytes ? in->bytes : "", in->count);
    ssize_t got = recv(socket->fd, chunk + in->count, CHUNK - in->count, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) lose(socket);
        return;
    }
    size_t count = in->count + (size_t)got, done = 0;
    if (socket->stage == CONNECTING) done = take_handshake(socket, chunk, count);
    if (socket->stage != CONNECTING) done += take_frames(socket, chunk + done, count - done);
    in->count = count - done;
    in->bytes = in->count ? grow(in->bytes, in->count) : (free(in->bytes), NULL);
    if (in->count) memcpy(in->bytes, chunk + done, in->count);
}

/* Life. */

static void open_socket(void) {
    Socket *new = &sockets[opened];
    *new = (Socket){.number = opened, .writes = opened >= options.readers};
    if (new->writes) new->sent_at = grow(NULL, options.window * sizeof *new->sent_at);
    opened++;
    entering++;
    struct sockaddr_in hub = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    hub.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    new->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (new->fd < 0 || connect(new->fd, (struct sockaddr *)&hub, sizeof hub) < 0)
        die("socket %u: %s", new->number, strerror(errno));
    fcntl(new->fd, F_SETFL, O_NONBLOCK);
    setsockopt(new->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    watch(new, EPOLL_CTL_ADD, false);
    char request[512];
    int size = snprintf(request, sizeof request,
                        "GET /api/v1/cases/%s/ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n",
                        options.cases.lines[new->number % options.cases.count], options.port);
    put(new, request, (size_t)size);
}

/* Handles what happens within the time; false when standard input has closed. */
static bool turn(int milliseconds) {
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, milliseconds);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == UINT32_MAX) {
            char byte;
            if (read(STDIN_FILENO, &byte, 1) <= 0) return false;
            continue;
        }
        Socket *socket = &sockets[events[i].data.u32];
        if (socket->stage != GONE && events[i].events & EPOLLOUT) flush(socket);
        if (socket->stage != GONE && events[i].events & ~(uint32_t)EPOLLOUT) receive(socket);
    }
    return true;
}

static void enter_all(void) {
    while (live < total) {
        while (opened < total && entering < options.pending) open_socket();
        if (!turn(1000)) die("standard input closed");
        if (closed) die("the hub closed %llu sockets", (unsigned long long)closed);
    }
}

static uint64_t missing(void) {
    uint64_t events = 0;
    for (uint32_t i = 0; i < total; i++) {
        if (sockets[i].stage != GONE) events += *head_of(&sockets[i]) - sockets[i].seq;
    }
    return events;
}

static double hub_cpu(void) {
    char path[64], line[1024] = {0};
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", options.pid);
    FILE *file = options.pid ? fopen(path, "r") : NULL;
    if (file == NULL) return 0;
    char *after = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (after) sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void write_all(void) {
    double cpu_before = hub_cpu();
    writing = true;
    began = now();
    stop_at = began + (int64_t)(options.seconds * 1e9);
    for (uint32_t i = options.readers; i < total; i++) write_more(&sockets[i]);
    while (options.messages ? acked + errors < options.messages && !closed : now() < stop_at) {
        turn(100);
    }
    uint64_t outstanding = 1;
    for (int64_t end = now() + SETTLE_S * 1000000000LL; now() < end && !closed; turn(10)) {
        outstanding = sent - acked - errors;
        if (!outstanding && !missing()) break;
    }
    cpu_used = hub_cpu() - cpu_before;
}

static int by_value(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

static void print_times(const char *name, Times *times) {
    qsort(times->micros, times->count, sizeof *times->micros, by_value);
    double ms[3] = {0};
    if (times->count) {
        size_t places[3] = {times->count / 2, times->count * 99 / 100, times->count - 1};
        for (int i = 0; i < 3; i++) ms[i] = times->micros[places[i]] / 1000.0;
    }
    printf(",\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, ms[0], ms[1], ms[2]);
}

static void print_count(const char *name, uint64_t value) {
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

static int report(void) {
    uint64_t lost = missing();
    double acking = (double)(last_ack - began) / 1e9;
    double delivering = (double)(last_delivery - began) / 1e9;
    printf("{\"sockets\":%u", total);
    print_count("acked", acked);
    print_count("delivered", delivered);
    printf(",\"acked_per_s\":%.1f", acked ? (double)acked / acking : 0);
    printf(",\"delivered_per_s\":%.1f", delivered ? (double)delivered / delivering : 0);
    printf(",\"hub_cpu_s\":%.2f", cpu_used);
    print_times("ack_ms", &ack_times);
    print_times("delivery_ms", &delivery_times);
    print_count("unanswered", sent - acked - errors);
    print_count("errors", errors);
    print_count("wrong_acks", wrong_acks);
    print_count("wrong_seqs", wrong_seqs);
    print_count("missing", lost);
    print_count("closed", closed);
    puts("}");
    fflush(stdout);
    return sent != acked || errors || wrong_acks || wrong_seqs || lost || closed;
}

static void read_options(int count, char **words) {
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = words[i], *value = words[i + 1];
        uint32_t number = (uint32_t)strtoul(value, NULL, 10);
        if (!strcmp(name, "--port")) options.port = (int)number;
        else if (!strcmp(name, "--cases")) options.cases = read_lines(value);
        else if (!strcmp(name, "--tokens")) options.tokens = read_lines(value);
        else if (!strcmp(name, "--readers")) options.readers = number;
        else if (!strcmp(name, "--writers")) options.writers = number;
        else if (!strcmp(name, "--window")) options.window = number;
        else if (!strcmp(name, "--pending")) options.pending = number;
        else if (!strcmp(name, "--pid")) options.pid = number;
        else if (!strcmp(name, "--messages")) options.messages = number;
        else if (!strcmp(name, "--seconds")) options.seconds = strtod(value, NULL);
        else die("%s is no option", name);
    }
    total = options.readers + options.writers;
    if (!options.port || !options.cases.count || !options.tokens.count || !total)
        die("--port, --cases, --tokens, and --readers or --writers are needed");
    if (options.writers && !options.messages && options.seconds <= 0)
        die("writers need --messages or --seconds");
    if (options.window < 1 || options.window > MAX_WINDOW) die("--window is 1 to %d", MAX_WINDOW);
    if (options.pending < 1) die("--pending is at least 1");
}

int main(int count, char **words) {
    read_options(count, words);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    snprintf(run_id, sizeof run_id, "%llx", (unsigned long long)now());
    sockets = grow(NULL, total * sizeof *sockets);
    heads = calloc(options.cases.count, sizeof *heads);
    poller = epoll_create1(0);
    if (!options.writers) {
        struct epoll_event event = {EPOLLIN, {.u32 = UINT32_MAX}};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
            die("standard input must be a pipe");
    }
    enter_all();
    if (options.writers) {
        write_all();
        return report();
    }
    int failed = report();
    while (turn(-1)) continue;
    return failed || closed;
}
