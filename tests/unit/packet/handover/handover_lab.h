/* SPDX-License-Identifier: BSD-3-Clause */
/* A distributor in standby, with IPsec, that is given things by a test. */
#pragma once

#include "packet/distributor/distributor_control.h"
#include "packet/distributor/standby.h"
#include "packet/handover/handover.h"
#include "packet/ipsec/kmp_terms.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"

#include "../distributor/distributor_lab.h"

#define HANDOVER_LAB_SAS 64

static inline int handover_lab_open(void **state)
{
	struct error error;

	if (distributor_lab_open(state) < 0 || sa_table_open(HANDOVER_LAB_SAS, &error) < 0)
		return -1;
	standby_set(STANDBY_ON);
	return 0;
}

static inline int handover_lab_close(void **state)
{
	standby_set(STANDBY_OFF);
	sa_table_close();
	return distributor_lab_close(state);
}

/* A message of the giver's. */
struct handover_message {
	uint8_t bytes[KMP_MESSAGE_MAX];
	struct kmp_writer writer;
};

static inline struct kmp_writer *handover_say(struct handover_message *message, enum kmp_type type)
{
	kmp_begin(&message->writer, message->bytes, sizeof(message->bytes), type, 1, 0);
	return &message->writer;
}

static inline enum kmp_code handover_hear(
	struct handover_taking *taking, struct handover_message *message, struct error *error)
{
	struct kmp_message decoded;
	size_t size = kmp_end(&message->writer);
	enum kmp_code code = kmp_decode(message->bytes, size, &decoded);

	error->text[0] = '\0';
	return code == KMP_OK ? handover_take(taking, &decoded, error) : code;
}

static inline void handover_say_begin(struct handover_message *message)
{
	kmp_put_number(handover_say(message, KMP_HANDOVER_BEGIN), KMP_ATTRIBUTE_FORMAT, 4,
		HANDOVER_FORMAT);
}

static inline void handover_say_vipa(
	struct handover_message *message, const char *name, const char *address)
{
	struct kmp_writer *writer = handover_say(message, KMP_HANDOVER_VIPA);
	struct ip_address parsed = lab_address(address);
	struct kmp_address theirs = kmp_terms_put_address(&parsed);

	kmp_put(writer, KMP_ATTRIBUTE_NAME, name, strlen(name));
	kmp_put_address(writer, KMP_ATTRIBUTE_DESTINATION, &theirs);
	kmp_put_number(writer, KMP_ATTRIBUTE_VLAN, 2, 10);
}

static inline void handover_say_target(
	struct handover_message *message, const char *name, const char *address)
{
	struct kmp_writer *writer = handover_say(message, KMP_HANDOVER_TARGET);
	struct ip_address parsed = lab_address(address);
	struct kmp_address theirs = kmp_terms_put_address(&parsed);

	kmp_put(writer, KMP_ATTRIBUTE_NAME, name, strlen(name));
	kmp_put_number(writer, KMP_ATTRIBUTE_IS_UP, 1, 1);
	kmp_put_address(writer, KMP_ATTRIBUTE_DESTINATION, &theirs);
}

/* A giver that has said what has to be the same on both; NULL: it was refused. */
static inline struct handover_taking *handover_begin(void)
{
	static struct handover_message message;
	struct handover_taking *taking = handover_taking_create();
	struct error error;

	handover_say_begin(&message);
	if (handover_hear(taking, &message, &error) != KMP_OK)
		return NULL;
	handover_say_vipa(&message, "web", VIPA);
	if (handover_hear(taking, &message, &error) != KMP_OK)
		return NULL;
	handover_say_target(&message, "t1", TARGET);
	if (handover_hear(taking, &message, &error) != KMP_OK)
		return NULL;
	return taking;
}
