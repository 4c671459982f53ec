/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structured log: an event name and typed key=value fields, to stderr, journald or a file.
 * Values are quoted and escaped, so that bytes from outside cannot forge a line. Never on a worker:
 * control threads only (the sink may block). Each call site is limited to a rate; what was
 * suppressed is counted and told with the next line. Secrets have no field constructor.
 *
 *	log_info("port_up", log_str("port", port->name), log_uint("mtu_bytes", port->mtu_bytes));
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_field_type {
	LOG_FIELD_END,
	LOG_FIELD_STRING,
	LOG_FIELD_INT,
	LOG_FIELD_UINT,
	LOG_FIELD_BOOL
};

struct log_field {
	const char *key;
	enum log_field_type type;
	union {
		const char *string;
		int64_t integer;
		uint64_t unsigned_integer;
		bool boolean;
	};
};

/* Per call site: token bucket of LOG_SITE_BURST lines, refilled at LOG_SITE_RATE a second. */
struct log_site {
	uint64_t refilled_at_ns;
	uint32_t tokens;
	uint32_t suppressed;
	bool is_initialized;
};

/*
 * Chooses the sink: "stderr", "journald" or a path is opened by the caller and passed as fd.
 * Where no journal is, stderr takes its place, with a warning; and where stderr is the journal's
 * (of a unit of systemd), lines go there with their fields, not as text.
 * role is the value of the role= field of every line. Call once, before other threads start.
 */
enum log_sink { LOG_SINK_STDERR, LOG_SINK_JOURNALD, LOG_SINK_FILE };
void log_open(enum log_sink sink, int fd, const char *role, enum log_level level);
void log_set_level(enum log_level level);
void log_close(void);

/* Used through the macros below; fields end with a LOG_FIELD_END element. */
void log_emit(struct log_site *site, enum log_level level, const char *event,
	const struct log_field *fields);

static inline struct log_field log_str(const char *key, const char *value)
{
	return (struct log_field){.key = key, .type = LOG_FIELD_STRING, .string = value};
}

static inline struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){.key = key, .type = LOG_FIELD_INT, .integer = value};
}

static inline struct log_field log_uint(const char *key, uint64_t value)
{
	return (struct log_field){.key = key, .type = LOG_FIELD_UINT, .unsigned_integer = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){.key = key, .type = LOG_FIELD_BOOL, .boolean = value};
}

/* A negative errno as its name and text: error="ENOENT: No such file or directory". */
struct log_field log_errno(int code);

#ifdef __cppcheck__ /* which does not know __VA_OPT__ */
#define LOG_EVENT(level, event, ...) log_emit(&(struct log_site){0}, level, event, NULL)
#else
#define LOG_EVENT(level, event, ...)                                                               \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_emit(&log_site_, level, event,                                                 \
			(const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});      \
	} while (0)
#endif

#define log_error(event, ...)   LOG_EVENT(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_EVENT(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_info(event, ...)    LOG_EVENT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)   LOG_EVENT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
