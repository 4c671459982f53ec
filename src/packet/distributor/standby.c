/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/standby.h"

#include "base/log.h"
#include "packet/engine/publish.h"

#include <stddef.h>

uint8_t standby_state;

static bool is_known, is_configured;
static void (*tell_changed)(void);

void standby_set_changed(void (*changed)(void))
{
	tell_changed = changed;
}

void standby_set(enum standby_state state)
{
	static const char *const names[] = {
		[STANDBY_OFF] = "off", [STANDBY_FROZEN] = "frozen", [STANDBY_ON] = "on"};

	if (state == standby_state)
		return;
	log_info("standby", log_str("state", names[state]));
	/* Release; pairs with standby_is_silent(). */
	__atomic_store_n(&standby_state, (uint8_t)state, __ATOMIC_RELEASE);
	if (state != STANDBY_OFF)
		publish_wait();
	if (tell_changed)
		tell_changed();
}

void standby_configure(bool is_wanted)
{
	bool is_change = !is_known || is_wanted != is_configured;

	is_known = true;
	is_configured = is_wanted;
	if (is_change)
		standby_set(is_wanted ? STANDBY_ON : STANDBY_OFF);
}

struct standby_kept standby_keep(void)
{
	return (struct standby_kept){.is_known = is_known,
		.is_configured = is_configured,
		.is_on = standby_state == STANDBY_ON};
}

void standby_restore(const struct standby_kept *kept)
{
	if (!kept->is_known)
		return;
	is_known = true;
	is_configured = kept->is_configured;
	standby_set(kept->is_on ? STANDBY_ON : STANDBY_OFF);
}
