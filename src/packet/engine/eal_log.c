/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's and the drivers' log, line by line, into ours. The control thread writes at once; lines of
 * other threads (workers, librte_vhost's) wait in a bounded buffer until the control thread takes
 * them, since the log's sink may block. A worker never waits for the lock: it loses the line.
 */
#include "packet/engine/eal_log.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <rte_log.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE  256
#define LINE_COUNT 256 /* a guest that connects makes about 70 */

struct line {
	uint32_t level;
	char text[LINE_SIZE];
};

static pthread_t control_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[LINE_COUNT]; /* under lock */
static uint32_t line_count;           /* under lock */
static uint64_t lost_count;           /* atomic */
static bool has_lines;                /* atomic; a look without the lock */
static FILE *stream;

static void emit(uint32_t level, const char *text)
{
	if (level <= RTE_LOG_ERR)
		log_error("dpdk", log_str("text", text));
	else if (level == RTE_LOG_WARNING)
		log_warning("dpdk", log_str("text", text));
	else
		log_debug("dpdk", log_str("text", text));
}

static void keep(uint32_t level, const char *text)
{
	if (pthread_mutex_trylock(&lock) != 0) {
		__atomic_fetch_add(&lost_count, 1, __ATOMIC_RELAXED);
		return;
	}
	if (line_count < LINE_COUNT) {
		lines[line_count].level = level;
		snprintf(lines[line_count].text, LINE_SIZE, "%s", text);
		line_count++;
	} else {
		__atomic_fetch_add(&lost_count, 1, __ATOMIC_RELAXED);
	}
	/* Release; pairs with the acquire in eal_log_drain(). */
	__atomic_store_n(&has_lines, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

static ssize_t write_line(void *cookie, const char *data, size_t size)
{
	int level = rte_log_cur_msg_loglevel();
	char text[LINE_SIZE];
	size_t length = size < sizeof(text) ? size : sizeof(text) - 1;

	(void)cookie;
	memcpy(text, data, length);
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
		length--;
	text[length] = '\0';
	if (length == 0)
		return (ssize_t)size;
	if (pthread_equal(pthread_self(), control_thread))
		emit(level < 0 ? RTE_LOG_INFO : (uint32_t)level, text);
	else
		keep(level < 0 ? RTE_LOG_INFO : (uint32_t)level, text);
	return (ssize_t)size;
}

int eal_log_open(void)
{
	static const cookie_io_functions_t functions = {.write = write_line};

	control_thread = pthread_self();
	stream = fopencookie(NULL, "w", functions);
	if (!stream)
		return -errno;
	setvbuf(stream, NULL, _IOLBF, 1024);
	rte_openlog_stream(stream);
	return 0;
}

void eal_log_close(void)
{
	rte_openlog_stream(NULL);
	if (stream)
		fclose(stream);
	stream = NULL;
}

void eal_log_drain(void)
{
	static struct line taken[LINE_COUNT];
	uint32_t count;
	uint64_t lost;

	if (!__atomic_load_n(&has_lines, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&lock);
	count = line_count;
	memcpy(taken, lines, count * sizeof(*lines));
	line_count = 0;
	__atomic_store_n(&has_lines, false, __ATOMIC_RELAXED); /* ordered by the lock */
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < count; i++)
		emit(taken[i].level, taken[i].text);
	lost = __atomic_exchange_n(&lost_count, 0, __ATOMIC_RELAXED);
	if (lost > 0)
		log_warning("dpdk_log_lost", log_uint("lines", lost));
}
