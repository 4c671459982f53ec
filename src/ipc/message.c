/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int ipc_refuse(struct ipc_refusal *refusal, int code, const char *message)
{
	refusal->code = code;
	refusal->message = message;
	return -EPROTO;
}

static bool ipc_is_method_name(const json_t *value)
{
	const char *name = json_string_value(value);
	size_t size = name ? json_string_length(value) : 0;

	if (size == 0 || size >= IPC_METHOD_SIZE || strlen(name) != size)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

static bool ipc_is_call_id(const json_t *value)
{
	return json_is_integer(value)
		|| (json_is_string(value) && json_string_length(value) < IPC_ID_SIZE);
}

static bool ipc_has_only_known_members(json_t *document)
{
	static const char *const known[] = {"jsonrpc", "id", "method", "params", "result", "error"};
	const char *key;
	json_t *value;

	json_object_foreach (document, key, value) {
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= strcmp(key, known[i]) == 0;
		if (!is_known)
			return false;
	}
	return true;
}

static int ipc_parse_request(json_t *document, struct ipc_message *out, struct ipc_refusal *refusal)
{
	const json_t *method = json_object_get(document, "method");

	if (json_object_get(document, "result") || json_object_get(document, "error"))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST,
			"\"method\" together with \"result\" or \"error\"");
	out->id = json_object_get(document, "id");
	if (out->id && !ipc_is_call_id(out->id))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST,
			"\"id\" must be an integer or a string of less than 64 bytes");
	refusal->id = json_incref(out->id);
	if (!ipc_is_method_name(method))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST,
			"\"method\" must be a name of a-z 0-9 . _ - and less than 64 bytes");
	out->method = json_string_value(method);
	out->kind = out->id ? IPC_MESSAGE_CALL : IPC_MESSAGE_NOTIFICATION;
	out->params = json_object_get(document, "params");
	if (out->params && !json_is_object(out->params)) {
		/* A notification is never answered (JSON-RPC 2.0, section 4.1). */
		refusal->is_answerable = out->id != NULL;
		return ipc_refuse(refusal, IPC_INVALID_PARAMS, "\"params\" must be an object");
	}
	return 0;
}

static int ipc_parse_response(
	json_t *document, struct ipc_message *out, struct ipc_refusal *refusal)
{
	const json_t *id = json_object_get(document, "id");

	refusal->is_answerable = false;
	out->result = json_object_get(document, "result");
	out->error = json_object_get(document, "error");
	if (json_object_get(document, "params") || (out->result && out->error))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "answer with too many members");
	if (!json_is_integer(id) && !(out->error && json_is_null(id)))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "answer without a known id");
	out->id = json_is_integer(id) ? json_object_get(document, "id") : NULL;
	if (out->result) {
		out->kind = IPC_MESSAGE_RESULT;
		return 0;
	}
	if (!json_is_object(out->error) || !json_is_integer(json_object_get(out->error, "code"))
		|| !json_is_string(json_object_get(out->error, "message")))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "\"error\" is not well-formed");
	out->kind = IPC_MESSAGE_ERROR;
	return 0;
}

static int ipc_parse_document(
	json_t *document, struct ipc_message *out, struct ipc_refusal *refusal)
{
	const json_t *version;

	if (json_is_array(document))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "batches are not supported");
	if (!json_is_object(document))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "the message must be an object");
	version = json_object_get(document, "jsonrpc");
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
	if (!ipc_has_only_known_members(document))
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "unknown member in the message");
	if (json_object_get(document, "method"))
		return ipc_parse_request(document, out, refusal);
	if (json_object_get(document, "result") || json_object_get(document, "error"))
		return ipc_parse_response(document, out, refusal);
	return ipc_refuse(refusal, IPC_INVALID_REQUEST, "\"method\" is missing");
}

int ipc_message_parse(
	const char *data, size_t size, struct ipc_message *out, struct ipc_refusal *refusal)
{
	json_error_t error;
	int status;

	*out = (struct ipc_message){0};
	*refusal = (struct ipc_refusal){.is_answerable = true};
	if (size > IPC_MESSAGE_SIZE)
		return ipc_refuse(refusal, IPC_INVALID_REQUEST, "the message is too long");
	out->document = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!out->document)
		return ipc_refuse(refusal, IPC_PARSE_ERROR, "the message is not valid JSON");
	status = ipc_parse_document(out->document, out, refusal);
	if (status < 0) {
		ipc_message_clear(out);
		return status;
	}
	ipc_refusal_clear(refusal);
	return 0;
}

void ipc_message_clear(struct ipc_message *message)
{
	json_decref(message->document);
	*message = (struct ipc_message){0};
}

void ipc_refusal_clear(struct ipc_refusal *refusal)
{
	json_decref(refusal->id);
	refusal->id = NULL;
}

/* Steals value into object; an absent optional value is no failure. */
static int ipc_put(json_t *object, const char *key, json_t *value)
{
	return value ? json_object_set_new(object, key, value) : 0;
}

static json_t *ipc_message_new(void)
{
	json_t *document = json_object();

	if (document && ipc_put(document, "jsonrpc", json_string("2.0")) < 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

json_t *ipc_message_request(const char *method, json_t *params, json_t *id)
{
	json_t *document = ipc_message_new();
	int failed = 0;

	failed |= ipc_put(document, "id", id);
	failed |= json_object_set_new(document, "method", json_string(method));
	failed |= ipc_put(document, "params", params);
	if (failed) {
		json_decref(document);
		return NULL;
	}
	return document;
}

json_t *ipc_message_result(json_t *id, json_t *result)
{
	json_t *document = ipc_message_new();
	int failed = 0;

	failed |= json_object_set_new(document, "id", id ? id : json_null());
	failed |= json_object_set_new(document, "result", result ? result : json_null());
	if (failed) {
		json_decref(document);
		return NULL;
	}
	return document;
}

json_t *ipc_message_error(json_t *id, int code, const char *message, json_t *data)
{
	json_t *document = ipc_message_new();
	json_t *error = json_object();
	json_t *text = json_string(message);
	int failed = 0;

	/* A message that is no UTF-8 (it may quote bytes from outside) must not lose the answer. */
	failed |= json_object_set_new(error, "code", json_integer(code));
	failed |= json_object_set_new(
		error, "message", text ? text : json_string("error text is not UTF-8"));
	failed |= ipc_put(error, "data", data);
	failed |= json_object_set_new(document, "id", id ? id : json_null());
	failed |= json_object_set_new(document, "error", error);
	if (failed) {
		json_decref(document);
		return NULL;
	}
	return document;
}

int ipc_message_encode(json_t *document, char **out, size_t *out_size)
{
	char *text;
	size_t size;

	if (!document)
		return -ENOMEM;
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (!text)
		return -ENOMEM;
	size = strlen(text);
	if (size > IPC_MESSAGE_SIZE) {
		free(text);
		return -EMSGSIZE;
	}
	*out = text;
	*out_size = size;
	return 0;
}
