/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/clock.h for a replay: time is the capture's, so that timeouts, thresholds and the times of
 * events are as they were when the packets were seen, however fast they are read. Takes the place
 * of base/clock.c in this one program.
 */
#include "base/clock.h"

#include "packet/inspect/replay/replay.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_ns;

void replay_clock_set(uint64_t wall_ns)
{
	/* Captures of several interfaces are not always in order. */
	if (wall_ns > now_ns)
		now_ns = wall_ns;
}

uint64_t clock_monotonic_ns(void)
{
	return now_ns;
}

uint64_t clock_wall_ns(void)
{
	return now_ns;
}

void clock_format(uint64_t wall_ns, char out[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_S);
	char date[CLOCK_TEXT_SIZE];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(out, CLOCK_TEXT_SIZE, "%.24s.%06u+0000", date,
		(unsigned int)(wall_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_US));
}
