/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A planned hand-over between two daemons (D15; docs/decisions/0021): the one that has the virtual
 * addresses gives associations, policies, connections and the addresses to one in standby. They
 * speak KMP on a Unix socket, the giver as the client, one request after the other:
 *
 *	giver                                       taker
 *	HELLO, PROOF                             →  both prove that they have the secret
 *	HANDOVER_BEGIN, _VIPA…, _TARGET…         →  has it the same ones, and nothing of its own?
 *	(is silent from here on)
 *	HANDOVER_SA…, _POLICY…, _CONNECTIONS…    →  there, but nothing uses them: it is in standby
 *	(has kept that it is in standby)
 *	HANDOVER_COMMIT                          →  answers OK, and has the addresses from then on
 *	(forgets)
 *
 * Until COMMIT is answered with OK nothing has changed: the taker takes back what came, the giver
 * goes on. The answer is sent before the taker begins, and a Unix socket either has it delivered or
 * refuses it, so both know the same whoever dies.
 *
 * All of it runs on the control thread.
 */
#pragma once

#include "base/secret.h"
#include "packet/distributor/vipa.h"
#include "packet/handover/handover_link.h"
#include "packet/ipsec/sa_control.h"

#include <jansson.h>
#include <uv.h>

#define HANDOVER_FORMAT 1 /* of what is said; both have to be the same */
/* No key manager has this name: it is not a valid one, so a proof of a session proves nothing
 * here. */
#define HANDOVER_NAME        "bulkhead handover"
#define HANDOVER_ANSWER_MS   5000                     /* that the giver waits for an answer */
#define HANDOVER_QUIET_MS    (2 * HANDOVER_ANSWER_MS) /* that the taker waits for a request */
#define HANDOVER_STRANGER_MS 2000                     /* for a proof */

/* Of the running configuration; NULL: there is no ipsec.handover. */
struct handover_secret {
	struct secret *secret;
	size_t size;
};
const struct handover_secret *handover_secret(void);

/* ---- handover_give.c ---- */

struct ipc_request;
/* ipsec.handover */
void handover_give(struct ipc_request *request, void *context);
bool handover_is_giving(void);
/* The role is stopping. */
void handover_give_stop(void);

/* ---- handover_take.c: what came, and how it is taken back ---- */

struct handover_taking;

/* Nothing came yet. NULL: no memory. */
struct handover_taking *handover_taking_create(void);
/* NULL is allowed. What came stays. */
void handover_taking_destroy(struct handover_taking *taking);
/* One request of a giver that has proved itself, but COMMIT. Otherwise than KMP_OK error says why,
 * or is empty; nothing more is to be taken then. */
enum kmp_code handover_take(
	struct handover_taking *taking, const struct kmp_message *message, struct error *error);
/* Whether there is something that COMMIT may bring into force. */
bool handover_can_commit(const struct handover_taking *taking);
/* The addresses are ours from now on. */
void handover_commit(const struct handover_taking *taking);
/* Takes back all that came. */
void handover_undo(struct handover_taking *taking);

/* ---- handover_receive.c: the socket, and who comes ---- */

/* Takes the listening socket, which does not block. -ENOMEM, or what libuv says. */
int handover_receive_open(int fd);
/* Ends what is under way. */
void handover_receive_close(void);
bool handover_is_taking(void);

/* ---- handover_message.c ---- */

struct sa;
struct sa_past;
struct connection;

void handover_put_past(struct kmp_writer *writer, const struct sa *sa);
/* KMP_BAD_VALUE: values that no SA can have. */
enum kmp_code handover_get_past(const struct kmp_message *message, struct sa_past *out);
/* The row of a connection whose VIPA and target have these numbers in the hand-over. */
void handover_write_connection(uint8_t row[KMP_CONNECTION_SIZE],
	const struct connection *connection, uint16_t vipa, uint16_t target);
/* VIPA and target are still the hand-over's. */
enum kmp_code handover_read_connection(
	const uint8_t row[KMP_CONNECTION_SIZE], struct connection *out);
