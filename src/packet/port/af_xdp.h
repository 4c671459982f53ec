/* SPDX-License-Identifier: BSD-3-Clause */
/* What an interface needs before DPDK's AF_XDP driver opens it. Control thread. */
#pragma once

#include "base/error.h"

#define AF_XDP_PROGRAM_SIZE 128

/*
 * Checks the interface, takes off the XDP program that a killed process left on it, warns where
 * checksums will be missing, and finds the program to load. The driver would let libxdp choose one,
 * but that asks the kernel for programs by number, which takes CAP_SYS_ADMIN.
 */
int af_xdp_prepare(const char *interface, char program[AF_XDP_PROGRAM_SIZE], struct error *error);
