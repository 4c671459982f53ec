/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to channel_*.c: the role's state. The loop's thread. */
#pragma once

#include "channel/agent.h"
#include "channel/channel_links.h"
#include "channel/cmm.h"
#include "channel/guest_port.h"
#include "ipc/ipc.h"
#include "main/role.h"

#include <jansson.h>
#include <uv.h>

/* A partition's socket that is listened on: for its processes, or for its virtual machine. */
struct listener {
	struct list node;
	bool is_guests;
	bool is_client; /* of guests: it is connected to instead */
	bool is_called; /* a socket to it is being made */
	char partition[ATTACH_NAME_SIZE];
	char path[sizeof(((struct policy_partition *)0)->socket)];
	uint32_t cid;
	int fd; /* until the commit; then -1, and one of these has it */
	struct agent *agent;
	struct guest_port *port;
};

/* A change of the configuration: control says prepare, then commit or abort. */
struct channel_change {
	struct ipc_request *request; /* being prepared: to be answered */
	json_t *document;            /* NULL: there is no change */
	json_int_t generation;
	struct list listeners; /* new ones, of struct listener */
	uint32_t answers_due;  /* of the broker */
	struct error failure;  /* "": none so far */
	bool is_orphaned;      /* control is gone: abort it when the broker has answered */
};

struct channel_role {
	struct role_context *context;
	struct ipc_channel *control; /* NULL: down */
	struct cmm cmm;
	uv_async_t wake;       /* rung by lanes */
	struct list listeners; /* of struct listener */
	struct links links;
	struct channel_change change;
	json_t *running; /* NULL: none yet */
	json_int_t generation;
	uint64_t events_lost;
	bool is_stopping;
	uint32_t references; /* the role itself, and calls to the broker under way */
};

/* Frees what is left when nothing refers to it any more. */
void channel_role_put(struct channel_role *role);

/* The process of this session is to be forgotten, wherever it is. */
void channel_forget(struct session *session);

/* --- channel_configure.c --- */
void channel_configure(struct ipc_request *request, void *context);
void channel_config_report(struct ipc_request *request, void *context);
/* Control is gone, or the role stops: what was prepared is forgotten. */
void channel_configure_abandon(struct channel_role *role);
void channel_close_listeners(struct list *listeners);
/* Now and then: connects to guests' devices that listen themselves and have nobody. */
void channel_dial_guests(struct channel_role *role);
/* The broker has answered one more question of the change; gives back the role's reference. */
void channel_configure_answered(struct channel_role *role);

/* --- channel_api.c --- */
/* The methods that control passes on; ended by NULL. */
extern const struct ipc_method channel_methods[];
