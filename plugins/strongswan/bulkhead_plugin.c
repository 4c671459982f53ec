/* SPDX-License-Identifier: GPL-2.0-or-later */
/* charon's plugin "bulkhead": loaded before kernel-netlink, it takes the place of its IPsec half.
 */
#include "bulkhead_ipsec.h"

#include <plugins/plugin.h>
#include <utils/debug.h>

METHOD(plugin_t, get_name, char *, plugin_t *this)
{
	return "bulkhead";
}

METHOD(plugin_t, get_features, int, plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t ours[] = {
		PLUGIN_CALLBACK(kernel_ipsec_register, bulkhead_ipsec_create),
		PLUGIN_PROVIDE(CUSTOM, "kernel-ipsec"),
	};

	*features = ours;
	return countof(ours);
}

METHOD(plugin_t, destroy, void, plugin_t *this)
{
	free(this);
}

/* charon finds it by this name. */
__attribute__((visibility("default"))) plugin_t *bulkhead_plugin_create(void);

plugin_t *bulkhead_plugin_create(void)
{
	plugin_t *this;

	/* Socket and secret belong to the daemon's user; charon gives up what nobody keeps. */
	if (!lib->caps->keep(lib->caps, CAP_DAC_OVERRIDE))
		DBG1(DBG_KNL,
			"bulkhead: without CAP_DAC_OVERRIDE it has to belong to the daemon's "
			"group");
	INIT(this, .get_name = _get_name, .get_features = _get_features, .destroy = _destroy, );
	return this;
}
