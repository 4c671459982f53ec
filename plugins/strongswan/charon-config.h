/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Debian's build of strongSwan is configured with, as far as its headers depend on it: this is
 * included first, in place of its config.h. ME (--enable-mediation) shifts offsets in structs of
 * libcharon.
 */
#pragma once

#define CONFIG_H_INCLUDED
#define ME
#define HAVE_STDBOOL_H
#define HAVE_SYS_PARAM_H
#define HAVE_ALLOCA_H
#define HAVE_CLOSEFROM
#define HAVE_EXPLICIT_BZERO
#define HAVE_FMEMOPEN
#define HAVE_MEMRCHR
#define HAVE_STRUCT_SOCKADDR_IN6
#define HAVE_GCC_ATOMIC_OPERATIONS
#define HAVE_PRINTF_SPECIFIER
#define HAVE_SIGWAITINFO
#define HAVE_QSORT_R
#define HAVE_QSORT_R_GNU
#define HAVE_IPV6
#define HAVE_IN6_PKTINFO
#define HAVE_SYSLOG
#define _GNU_SOURCE
