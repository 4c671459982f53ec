/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sinks and formatting of the structured log. One mutex covers the sink and the call sites' token
 * buckets: lines are rare and a role has few control threads.
 */
#include "base/log.h"
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* A call site may say this many lines at once, and LOG_SITE_RATE a second in the long run: enough
 * for the story of an incident, too little to fill a disk. */
#define LOG_SITE_BURST 20
#define LOG_SITE_RATE  5

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

#define LOG_LINE_SIZE   2048
#define LOG_FIELDS_MAX  24
#define LOG_ERRNO_SLOTS 8

static struct {
	pthread_mutex_t mutex;
	enum log_sink sink;
	int fd;
	enum log_level level;
	char role[32];
} log_state = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.sink = LOG_SINK_STDERR,
	.fd = -1,
	.level = LOG_LEVEL_INFO,
	.role = "-",
};

static const struct {
	const char *name;
	int priority; /* of syslog(3) */
} log_levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

/* Text that is cut, with a mark, when it does not fit. */
struct log_text {
	char *at;
	size_t left; /* without the closing NUL */
};

static void log_put_char(struct log_text *text, char c)
{
	if (text->left == 0)
		return;
	*text->at++ = c;
	*text->at = '\0';
	text->left--;
}

static void log_put(struct log_text *text, const char *string)
{
	while (*string)
		log_put_char(text, *string++);
}

static bool log_is_plain(const char *string)
{
	if (!*string)
		return false;
	for (; *string; string++)
		if (!isalnum((unsigned char)*string) && !strchr("-_.:/@+,%#*", *string))
			return false;
	return true;
}

/* Everything that could end the value, the line or a terminal's patience is escaped; bytes of
 * UTF-8 from outside too, since whether they are valid is not known here. */
static void log_put_quoted(struct log_text *text, const char *string)
{
	char escape[5];

	if (!string) {
		log_put(text, "null");
		return;
	}
	if (log_is_plain(string)) {
		log_put(text, string);
		return;
	}
	log_put_char(text, '"');
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\') {
			log_put_char(text, '\\');
			log_put_char(text, (char)c);
		} else if (c == '\n') {
			log_put(text, "\\n");
		} else if (c >= 0x20 && c < 0x7f) {
			log_put_char(text, (char)c);
		} else {
			snprintf(escape, sizeof(escape), "\\x%02x", c);
			log_put(text, escape);
		}
	}
	log_put_char(text, '"');
}

static void log_put_value(struct log_text *text, const struct log_field *field)
{
	char number[24];

	switch (field->type) {
	case LOG_FIELD_STRING:
		log_put_quoted(text, field->string);
		return;
	case LOG_FIELD_INT:
		snprintf(number, sizeof(number), "%lld", (long long)field->integer);
		break;
	case LOG_FIELD_UINT:
		snprintf(number, sizeof(number), "%llu",
			(unsigned long long)field->unsigned_integer);
		break;
	case LOG_FIELD_BOOL:
		snprintf(number, sizeof(number), "%s", field->boolean ? "true" : "false");
		break;
	case LOG_FIELD_END:
		return;
	}
	log_put(text, number);
}

static void log_put_fields(struct log_text *text, const char *event, const struct log_field *fields,
	uint32_t suppressed)
{
	char number[16];

	log_put(text, event);
	log_put(text, " role=");
	log_put_quoted(text, log_state.role);
	for (; fields->key && fields->type != LOG_FIELD_END; fields++) {
		log_put_char(text, ' ');
		log_put(text, fields->key);
		log_put_char(text, '=');
		log_put_value(text, fields);
	}
	if (suppressed > 0) {
		snprintf(number, sizeof(number), "%u", suppressed);
		log_put(text, " suppressed=");
		log_put(text, number);
	}
}

/* Says whether the site may speak now; *suppressed is what it could not say since it last did. */
static bool log_site_take(struct log_site *site, uint64_t now_ns, uint32_t *suppressed)
{
	uint64_t step_ns = CLOCK_NS_PER_S / LOG_SITE_RATE;
	uint64_t refill;

	if (!site->is_initialized) {
		site->is_initialized = true;
		site->tokens = LOG_SITE_BURST;
		site->refilled_at_ns = now_ns;
	}
	refill = (now_ns - site->refilled_at_ns) / step_ns;
	site->refilled_at_ns += refill * step_ns;
	site->tokens = refill >= LOG_SITE_BURST - site->tokens ? LOG_SITE_BURST
							       : site->tokens + (uint32_t)refill;
	if (site->tokens == 0) {
		site->suppressed++;
		return false;
	}
	site->tokens--;
	*suppressed = site->suppressed;
	site->suppressed = 0;
	return true;
}

static void log_write_line(int fd, enum log_level level, const char *message)
{
	char line[LOG_LINE_SIZE + 128], now[CLOCK_TEXT_SIZE];
	int size;

	clock_format(clock_wall_ns(), now);
	size = snprintf(line, sizeof(line), "%s %s %s\n", now, log_levels[level].name, message);
	/* One write a line, so that lines of several processes do not mix. A log that cannot be
	 * written has nobody to tell. */
	while (write(fd, line, (size_t)size) < 0 && errno == EINTR)
		continue;
}

/* Each field is also a field of the journal, BULKHEAD_KEY=value, to be matched on. */
static void log_write_journal(enum log_level level, const char *event, const char *message,
	const struct log_field *fields)
{
	char text[LOG_FIELDS_MAX][256];
	char head[4][LOG_LINE_SIZE + 16];
	struct iovec parts[LOG_FIELDS_MAX + 5];
	int count = 0;

	snprintf(head[0], sizeof(head[0]), "MESSAGE=%s", message);
	snprintf(head[1], sizeof(head[1]), "PRIORITY=%d", log_levels[level].priority);
	snprintf(head[2], sizeof(head[2]), "BULKHEAD_EVENT=%s", event);
	snprintf(head[3], sizeof(head[3]), "BULKHEAD_ROLE=%s", log_state.role);
	for (int i = 0; i < 4; i++)
		parts[count++] = (struct iovec){head[i], strlen(head[i])};
	parts[count++] = (struct iovec){"SYSLOG_IDENTIFIER=bulkheadd", 27};
	for (int i = 0; i < LOG_FIELDS_MAX && fields->key; i++, fields++) {
		struct log_text out = {text[i], sizeof(text[i]) - 1};

		log_put(&out, "BULKHEAD_");
		for (const char *key = fields->key; *key; key++)
			log_put_char(&out, (char)toupper((unsigned char)*key));
		log_put_char(&out, '=');
		log_put_value(&out, fields);
		parts[count++] = (struct iovec){text[i], strlen(text[i])};
	}
	sd_journal_sendv(parts, count);
}

/* Whether stderr leads to journald: systemd names device and inode of what it connected
 * (systemd.exec(5), JOURNAL_STREAM), and something else may have taken its place since. */
static bool log_stderr_is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	struct stat info;
	char own[48];

	if (!named || fstat(STDERR_FILENO, &info) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
	return strcmp(named, own) == 0;
}

void log_open(enum log_sink sink, int fd, const char *role, enum log_level level)
{
	bool is_wanted = sink == LOG_SINK_JOURNALD;
	bool has_no_journal;

	/* It would come to the journal as text only. */
	if (sink == LOG_SINK_STDERR && log_stderr_is_journal())
		sink = LOG_SINK_JOURNALD;
	/* sd_journal_sendv() says success where nobody listens. */
	has_no_journal = sink == LOG_SINK_JOURNALD && access(JOURNAL_SOCKET, F_OK) < 0;
	if (has_no_journal)
		sink = LOG_SINK_STDERR;
	pthread_mutex_lock(&log_state.mutex);
	if (log_state.fd >= 0 && log_state.fd != fd)
		close(log_state.fd);
	log_state.sink = sink;
	log_state.fd = sink == LOG_SINK_FILE ? fd : -1;
	log_state.level = level;
	snprintf(log_state.role, sizeof(log_state.role), "%s", role);
	pthread_mutex_unlock(&log_state.mutex);
	if (has_no_journal && is_wanted)
		log_warning("journal_missing", log_str("path", JOURNAL_SOCKET),
			log_str("effect", "the log goes to stderr"));
}

void log_set_level(enum log_level level)
{
	pthread_mutex_lock(&log_state.mutex);
	log_state.level = level;
	pthread_mutex_unlock(&log_state.mutex);
}

void log_close(void)
{
	pthread_mutex_lock(&log_state.mutex);
	if (log_state.fd >= 0)
		close(log_state.fd);
	log_state.fd = -1;
	log_state.sink = LOG_SINK_STDERR;
	pthread_mutex_unlock(&log_state.mutex);
}

void log_emit(struct log_site *site, enum log_level level, const char *event,
	const struct log_field *fields)
{
	char message[LOG_LINE_SIZE];
	struct log_text text = {message, sizeof(message) - 1};
	uint32_t suppressed = 0;

	message[0] = '\0';
	pthread_mutex_lock(&log_state.mutex);
	if (level <= log_state.level && log_site_take(site, clock_monotonic_ns(), &suppressed)) {
		log_put_fields(&text, event, fields, suppressed);
		if (log_state.sink == LOG_SINK_JOURNALD)
			log_write_journal(level, event, message, fields);
		else
			log_write_line(
				log_state.sink == LOG_SINK_FILE ? log_state.fd : STDERR_FILENO,
				level, message);
	}
	pthread_mutex_unlock(&log_state.mutex);
}

struct log_field log_errno(int code)
{
	/* The text has to outlive this call; a statement has rarely more than one of them. */
	static _Thread_local char texts[LOG_ERRNO_SLOTS][96];
	static _Thread_local unsigned next;
	char *text = texts[next++ % LOG_ERRNO_SLOTS];
	int positive = code < 0 ? -code : code;
	const char *name = strerrorname_np(positive);

	snprintf(text, sizeof(texts[0]), "%s: %s", name ? name : "?",
		strerrordesc_np(positive) ?: "unknown error");
	return log_str("error", text);
}
