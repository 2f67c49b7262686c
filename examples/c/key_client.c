/* Takes the keys of one neighbor from rkmpd's key socket, as a routing daemon would (docs/key-api.md).
 *
 *     cc -Wall -o key_client key_client.c
 *     ./key_client /run/rkmp/keys.sock bgp 192.0.2.2
 *
 * Prints one line a step, "add NAME send-id=N recv-id=N algorithm=... secret=<N octets>" or "prefer|retire|remove NAME",
 * acknowledges it, and prints "synchronised" when there is nothing left to do. A daemon would call setsockopt with
 * TCP_AO_ADD_KEY, TCP_AO_INFO and TCP_AO_DEL_KEY there. Ends with 1 when the agent refuses, 3 when it goes away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE = 65536 };

/* Return the end of the JSON string that begins with the quote at p. */
static const char *string_end(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return p;
}

/* Return the value of a name in the object at p, or NULL: strings and objects inside of it are stepped over. */
static const char *value_of(const char *p, const char *name)
{
    size_t length = strlen(name);
    int depth = 0;

    for (; *p; p++) {
        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (--depth == 0)
                return NULL;
        } else if (*p == '"') {
            const char *start = p + 1, *end = string_end(p);
            if (!*end)
                return NULL;
            if (depth == 1 && end[1] == ':' && (size_t)(end - start) == length && !memcmp(start, name, length))
                return end + 2;
            p = end;
        }
    }
    return NULL;
}

static long number(const char *object, const char *name)
{
    const char *value = value_of(object, name);
    return value ? strtol(value, NULL, 10) : -1;
}

/* Copy the string of that name into text, escapes as they are; an empty one where there is none. */
static const char *string(const char *object, const char *name, char *text, size_t size)
{
    const char *value = value_of(object, name);
    size_t length = value && *value == '"' ? (size_t)(string_end(value) - value - 1) : 0;

    if (length >= size)
        length = size - 1;
    if (length)
        memcpy(text, value + 1, length);
    text[length] = 0;
    return text;
}

static int send_line(int fd, const char *line)
{
    size_t length = strlen(line);

    while (length) {
        ssize_t sent = send(fd, line, length, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        line += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* Do one step; here, say what it is. */
static void do_step(const char *type, const char *message)
{
    char name[512], algorithm[64], secret[512];
    const char *key = value_of(message, "key");

    if (strcmp(type, "add")) {
        printf("%s %s\n", type, string(message, "key", name, sizeof name));
        return;
    }
    printf("add %s send-id=%ld recv-id=%ld algorithm=%s secret=<%zu octets>\n", string(key, "name", name, sizeof name),
           number(key, "send-id"), number(key, "recv-id"), string(key, "algorithm", algorithm, sizeof algorithm),
           strlen(string(key, "secret", secret, sizeof secret)) / 2);
    memset(secret, 0, sizeof secret);
}

/* Take one message; return 0 to go on, or the status to end with. */
static int take(int fd, const char *message)
{
    char type[32], text[512], answer[128];

    string(message, "type", type, sizeof type);
    if (!strcmp(type, "error")) {
        fprintf(stderr, "refused (%s): ", string(message, "code", text, sizeof text));
        fprintf(stderr, "%s\n", string(message, "reason", text, sizeof text));
        return 1;
    }
    if (!strcmp(type, "synchronised")) {
        printf("synchronised\n");
    } else if (!strcmp(type, "add") || !strcmp(type, "prefer") || !strcmp(type, "retire") || !strcmp(type, "remove")) {
        do_step(type, message);
        snprintf(answer, sizeof answer, "{\"type\":\"acknowledge\",\"subscription\":%ld,\"sequence\":%ld}\n",
                 number(message, "subscription"), number(message, "sequence"));
        if (send_line(fd, answer))
            return 3;
    }
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static char buffer[LINE + 1];
    char request[1024];
    size_t filled = 0;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc != 4 || strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "usage: %s SOCKET PROTOCOL NEIGHBOR\n", argv[0]);
        return 2;
    }
    strcpy(address.sun_path, argv[1]);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        perror(argv[1]);
        return 3;
    }
    snprintf(request, sizeof request,
             "{\"type\":\"hello\",\"version\":1,\"name\":\"key_client\"}\n"
             "{\"type\":\"subscribe\",\"id\":1,\"protocol\":\"%s\",\"neighbor\":\"%s\"}\n", argv[2], argv[3]);
    if (send_line(fd, request))
        return 3;
    for (;;) {
        ssize_t got = read(fd, buffer + filled, LINE - filled);
        char *line = buffer, *end;

        if (got <= 0)
            return 3;
        filled += (size_t)got;
        buffer[filled] = 0;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            int status;
            *end = 0;
            if ((status = take(fd, line)))
                return status;
        }
        filled = strlen(line);
        memmove(buffer, line, filled + 1);
    }
}
