/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The anti-replay window of an inbound SA (RFC 4303 section 3.4.3), as the ring of words of RFC
 * 6479, and the reconstruction of extended sequence numbers (RFC 4303 appendix A2).
 *
 * Writers: workers, under the lock of the SA. Readers: workers without it, for a first look that
 * is repeated under the lock when the packet has proved authentic.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct replay_window {
	uint64_t highest; /* authentic so far; 0: none */
	uint64_t floor;   /* up to here nothing is accepted: from before a restart */
	uint32_t size;    /* in packets, a multiple of 64; 0: no protection */
	uint32_t mask;    /* words of bits, less one: a power of two */
	uint64_t *bits;   /* one more word than the window needs, at least */
};

static inline uint32_t replay_word_count(uint32_t size)
{
	uint32_t count = 2;

	while (count < size / 64 + 1)
		count *= 2;
	return count;
}

/* The 64 bits of the number whose low 32 bits are in the packet. 0: none that is valid. */
static inline uint64_t replay_extend(const struct replay_window *window, uint32_t low)
{
	/* Relaxed: a look at a number that only grows; the ICV decides. */
	uint64_t highest = __atomic_load_n(&window->highest, __ATOMIC_RELAXED);
	uint32_t top = (uint32_t)highest, bottom = top - window->size + 1;
	uint64_t high = highest >> 32;

	if (top >= window->size - 1) /* the window is within one span of 2^32 */
		high += low < bottom;
	else if (low >= bottom) { /* it reaches back into the span before */
		if (high == 0)
			return 0;
		high--;
	}
	return high << 32 | low;
}

/* Whether sequence may still come. */
static inline bool replay_is_new(const struct replay_window *window, uint64_t sequence)
{
	uint64_t highest = __atomic_load_n(&window->highest, __ATOMIC_RELAXED), word;

	if (window->size == 0)
		return true;
	if (sequence <= window->floor) /* 0 is never sent */
		return false;
	if (sequence > highest)
		return true;
	if (highest - sequence >= window->size)
		return false;
	word = __atomic_load_n(&window->bits[sequence / 64 & window->mask], __ATOMIC_RELAXED);
	return !(word >> (sequence % 64) & 1);
}

/* Notes an authentic packet. False: another one with this number was quicker. */
static inline bool replay_accept(struct replay_window *window, uint64_t sequence)
{
	uint64_t first = window->highest / 64 + 1, last = sequence / 64, *word;
	bool is_ahead = sequence > window->highest;

	if (!replay_is_new(window, sequence))
		return false;
	if (is_ahead)
		__atomic_store_n(&window->highest, sequence, __ATOMIC_RELAXED);
	if (window->size == 0)
		return true;
	for (uint64_t i = first; is_ahead && i <= last && i - first <= window->mask; i++)
		__atomic_store_n(&window->bits[i & window->mask], 0, __ATOMIC_RELAXED);
	word = &window->bits[last & window->mask];
	__atomic_store_n(word, *word | 1ULL << (sequence % 64), __ATOMIC_RELAXED);
	return true;
}
