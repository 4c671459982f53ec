/* SPDX-License-Identifier: BSD-3-Clause */
/* Gives the engine the names of ports and trunks, which it knows by index (engine/names.h). */
#pragma once

void packet_names_open(void);
