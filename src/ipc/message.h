/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One JSON-RPC 2.0 message as bytes and as a checked struct. Pure: no channel, no descriptors. Used
 * by channel.c and request.c, by the fuzz target and by nobody else. Any thread.
 */
#pragma once

#include "ipc/ipc.h"

#define IPC_METHOD_SIZE 64 /* longest method name, with its NUL */
#define IPC_ID_SIZE     64 /* longest id that is a string */

enum ipc_message_kind {
	IPC_MESSAGE_CALL,
	IPC_MESSAGE_NOTIFICATION,
	IPC_MESSAGE_RESULT,
	IPC_MESSAGE_ERROR
};

struct ipc_message {
	json_t *document; /* owned; the other pointers point into it */
	enum ipc_message_kind kind;
	const char *method;   /* call, notification */
	const json_t *params; /* call, notification: an object, or NULL */
	json_t *id;           /* call: integer or string. result, error: integer, or NULL in an
				 error that answers a message nobody could read */
	json_t *result;
	json_t *error;
};

/* Why a message was refused, ready to be sent as the error answer. */
struct ipc_refusal {
	int code;            /* enum ipc_error */
	const char *message; /* static text */
	json_t *id;          /* owned: of the call that is answered; NULL means null */
	bool is_answerable;  /* false: it was itself an answer, or nothing that asks for one */
};

/* Fills out and returns 0, or fills refusal and returns -EPROTO (-ENOMEM). */
int ipc_message_parse(
	const char *data, size_t size, struct ipc_message *out, struct ipc_refusal *refusal);
void ipc_message_clear(struct ipc_message *message);
void ipc_refusal_clear(struct ipc_refusal *refusal);

/* Each consumes its JSON values and returns a document to be encoded, or NULL without memory. */
json_t *ipc_message_request(const char *method, json_t *params, json_t *id);
json_t *ipc_message_result(json_t *id, json_t *result);
json_t *ipc_message_error(json_t *id, int code, const char *message, json_t *data);

/* Compact text of document, which is consumed; *out is to be freed. -EMSGSIZE, -ENOMEM. */
int ipc_message_encode(json_t *document, char **out, size_t *out_size);
