/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Of a hexadecimal digit, either case; -1: it is none. */
static inline int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}
