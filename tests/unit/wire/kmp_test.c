/* SPDX-License-Identifier: BSD-3-Clause */
#include "bulkhead/kmp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct kmp_address here = {4, {192, 0, 2, 1}}, there = {4, {198, 51, 100, 7}};
static const struct kmp_address here6 = {6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
static uint8_t buffer[KMP_MESSAGE_MAX + 1];
static struct kmp_message message;

static struct kmp_selector selector(void)
{
	return (struct kmp_selector){.source_first = there,
		.source_last = there,
		.destination_first = here,
		.destination_last = here,
		.protocol = 6,
		.source_port_last = 65535,
		.destination_port_first = 443,
		.destination_port_last = 443};
}

static struct kmp_sa make_sa(void)
{
	static const uint8_t key[20] = {1, 2, 3};
	struct kmp_sa sa = {.name = {.spi = 0x11223344, .destination = here},
		.source = there,
		.direction = KMP_INBOUND,
		.mode = KMP_TUNNEL,
		.cipher = KMP_CIPHER_AES_GCM_16,
		.cipher_key = key,
		.cipher_key_size = sizeof(key),
		.flags = KMP_SA_ENCAPSULATION | KMP_SA_COPY_DSCP,
		.replay_window = 128,
		.source_port = 1024,
		.destination_port = 4500,
		.request = 7,
		.lifetime = {.soft_bytes = 1ULL << 40, .hard_packets = 9, .hard_s = 3600},
		.selector_count = 2};

	sa.selectors[0] = sa.selectors[1] = selector();
	return sa;
}

static size_t write_sa(const struct kmp_sa *sa)
{
	struct kmp_writer writer;

	kmp_begin(&writer, buffer, sizeof(buffer), KMP_SA_ADD, 5, 0);
	kmp_put_sa(&writer, sa);
	return kmp_end(&writer);
}

/* A message of `type` with the attributes given as bytes. */
static size_t raw(enum kmp_type type, const void *attributes, size_t size)
{
	struct kmp_writer writer;

	kmp_begin(&writer, buffer, sizeof(buffer), type, 3, 0);
	memcpy(buffer + KMP_HEADER_SIZE, attributes, size);
	writer.size += size;
	return kmp_end(&writer);
}

static void reads_what_it_writes(void **state)
{
	struct kmp_sa sa = make_sa(), read;
	size_t size = write_sa(&sa);

	assert_int_equal(kmp_decode(buffer, size, &message), KMP_OK);
	assert_int_equal(message.type, KMP_SA_ADD);
	assert_int_equal(message.sequence, 5);
	memset(&read, 0, sizeof(read));
	assert_int_equal(kmp_get_sa(&message, &read), KMP_OK);
	assert_memory_equal(read.cipher_key, sa.cipher_key, 20);
	assert_null(read.integrity_key);
	read.cipher_key = sa.cipher_key;
	assert_memory_equal(&read, &sa, sizeof(sa));
}

static void reads_moves_and_policies_that_it_writes(void **state)
{
	struct kmp_move move = {.name = {.spi = 256, .destination = here},
				.new_source = here6,
				.new_destination = here6,
				.has_encapsulation = true,
				.source_port = 4501,
				.destination_port = 4500},
			read_move = {.name = {.spi = 0}};
	struct kmp_policy policy = {.direction = KMP_POLICY_OUTBOUND,
				  .action = KMP_PROTECT,
				  .selector = selector(),
				  .priority = 370,
				  .mode = KMP_TUNNEL,
				  .request = 3,
				  .spi = 0,
				  .source = here,
				  .destination = there},
			  read_policy = {.priority = 0};
	uint8_t again[512];
	struct kmp_writer writer;
	size_t size;

	kmp_begin(&writer, buffer, sizeof(buffer), KMP_SA_UPDATE, 1, 0);
	kmp_put_move(&writer, &move);
	size = kmp_end(&writer);
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_OK);
	assert_int_equal(kmp_get_move(&message, &read_move), KMP_OK);
	assert_int_equal(read_move.source_port, 4501);
	kmp_begin(&writer, again, sizeof(again), KMP_SA_UPDATE, 1, 0);
	kmp_put_move(&writer, &read_move);
	assert_int_equal(kmp_end(&writer), size);
	assert_memory_equal(again, buffer, size);
	kmp_begin(&writer, buffer, sizeof(buffer), KMP_POLICY_ADD, 1, 0);
	kmp_put_policy(&writer, &policy);
	size = kmp_end(&writer);
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_OK);
	assert_int_equal(kmp_get_policy(&message, &read_policy), KMP_OK);
	assert_int_equal(read_policy.priority, 370);
	kmp_begin(&writer, again, sizeof(again), KMP_POLICY_ADD, 1, 0);
	kmp_put_policy(&writer, &read_policy);
	assert_int_equal(kmp_end(&writer), size);
	assert_memory_equal(again, buffer, size);
}

static void reads_lists_and_numbers_that_it_writes(void **state)
{
	static struct kmp_sa_entry entries[KMP_SAS_MAX], read[KMP_SAS_MAX];
	struct kmp_stats stats = {.sessions = 1, .expired = 1ULL << 63}, read_stats;
	struct kmp_usage usage = {.bytes = 1, .packets = 2, .idle_s = UINT64_MAX}, read_usage;
	struct kmp_writer writer;
	size_t count;

	for (size_t i = 0; i < KMP_SAS_MAX; i++)
		entries[i] = (struct kmp_sa_entry){
			.name = {.spi = (uint32_t)(1000 + i), .destination = i % 2 ? here : here6},
			.source = i % 2 ? there : here6,
			.direction = KMP_OUTBOUND,
			.mode = KMP_TRANSPORT,
			.flags = KMP_SA_ESN,
			.request = (uint32_t)i,
			.owner = 77};
	kmp_begin(&writer, buffer, sizeof(buffer), KMP_SAS, 0, 9);
	kmp_put_entries(&writer, entries, KMP_SAS_MAX);
	kmp_put_number(&writer, KMP_ATTRIBUTE_NEXT, 4, 12);
	assert_int_equal(kmp_decode(buffer, kmp_end(&writer), &message), KMP_OK);
	memset(read, 0, sizeof(read));
	assert_int_equal(kmp_get_entries(&message, read, &count), KMP_OK);
	assert_int_equal(count, KMP_SAS_MAX);
	assert_memory_equal(read, entries, sizeof(entries));
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_NEXT), 12);

	kmp_begin(&writer, buffer, sizeof(buffer), KMP_STATS, 0, 9);
	kmp_put_stats(&writer, &stats);
	assert_int_equal(kmp_decode(buffer, kmp_end(&writer), &message), KMP_OK);
	kmp_get_stats(&message, &read_stats);
	assert_memory_equal(&read_stats, &stats, sizeof(stats));

	kmp_begin(&writer, buffer, sizeof(buffer), KMP_USAGE, 0, 9);
	kmp_put_usage(&writer, &usage);
	assert_int_equal(kmp_decode(buffer, kmp_end(&writer), &message), KMP_OK);
	kmp_get_usage(&message, &read_usage);
	assert_memory_equal(&read_usage, &usage, sizeof(usage));
}

static void rejects_each_cut(void **state)
{
	struct kmp_sa sa = make_sa();
	size_t size = write_sa(&sa);

	for (size_t cut = 0; cut < size; cut++)
		assert_int_not_equal(kmp_decode(buffer, cut, &message), KMP_OK);
	buffer[size] = 0;
	assert_int_equal(kmp_decode(buffer, size + 1, &message), KMP_MALFORMED);
}

static void rejects_wrong_headers(void **state)
{
	size_t size = raw(KMP_PING, "", 0);

	assert_int_equal(kmp_decode(buffer, size, &message), KMP_OK);
	buffer[0] ^= 1;
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_MALFORMED);
	assert_int_equal(message.sequence, 0);
	buffer[0] ^= 1;
	buffer[4] = 2;
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_WRONG_VERSION);
	assert_int_equal(message.sequence, 3);
	buffer[4] = 1;
	buffer[5] = 1; /* a flag that means nothing */
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_MALFORMED);
	buffer[5] = 0;
	buffer[7] = 99;
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_UNKNOWN_TYPE);
	buffer[7] = KMP_PING;
	buffer[11]++;
	assert_int_equal(kmp_decode(buffer, size, &message), KMP_MALFORMED);
}

static void rejects_wrong_attributes(void **state)
{
	static const uint8_t unknown[] = {0, 63, 0, 1, 0}, optional[] = {0x80, 63, 0, 1, 0};
	static const uint8_t misplaced[] = {0, KMP_ATTRIBUTE_SPI, 0, 4, 1, 2, 3, 4};
	static const uint8_t twice[] = {0, KMP_ATTRIBUTE_DESTINATION, 0, 4, 1, 2, 3, 4, 0,
		KMP_ATTRIBUTE_DESTINATION, 0, 4, 1, 2, 3, 4};
	static const uint8_t long_value[] = {
		0, KMP_ATTRIBUTE_DESTINATION, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t beyond[] = {0, KMP_ATTRIBUTE_DESTINATION, 0, 5, 1, 2, 3, 4};
	static const uint8_t zero[] = {0, 0, 0, 0};

	assert_int_equal(
		kmp_decode(buffer, raw(KMP_PING, unknown, 5), &message), KMP_UNKNOWN_ATTRIBUTE);
	assert_int_equal(kmp_decode(buffer, raw(KMP_PING, optional, 5), &message), KMP_OK);
	assert_int_equal(
		kmp_decode(buffer, raw(KMP_PING, zero, 4), &message), KMP_UNKNOWN_ATTRIBUTE);
	assert_int_equal(
		kmp_decode(buffer, raw(KMP_PING, misplaced, 8), &message), KMP_UNKNOWN_ATTRIBUTE);
	assert_int_equal(kmp_decode(buffer, raw(KMP_GET_SPI, twice, 8), &message), KMP_OK);
	assert_int_equal(
		kmp_decode(buffer, raw(KMP_GET_SPI, twice, 16), &message), KMP_DUPLICATE_ATTRIBUTE);
	assert_int_equal(
		kmp_decode(buffer, raw(KMP_GET_SPI, long_value, 12), &message), KMP_BAD_VALUE);
	assert_int_equal(kmp_decode(buffer, raw(KMP_GET_SPI, beyond, 8), &message), KMP_MALFORMED);
	assert_int_equal(
		kmp_decode(buffer, raw(KMP_GET_SPI, "", 0), &message), KMP_MISSING_ATTRIBUTE);
}

/* What the sizes allow and the values do not. */
static void rejects_values_out_of_range(void **state)
{
	struct kmp_sa sa, read;

#define EXPECT_REFUSED(change)                                                                     \
	do {                                                                                       \
		sa = make_sa();                                                                    \
		change;                                                                            \
		assert_int_equal(kmp_decode(buffer, write_sa(&sa), &message), KMP_OK);             \
		assert_int_equal(kmp_get_sa(&message, &read), KMP_BAD_VALUE);                      \
	} while (0)
	EXPECT_REFUSED(sa.name.spi = 255);
	EXPECT_REFUSED(sa.direction = 2);
	EXPECT_REFUSED(sa.mode = 2);
	EXPECT_REFUSED(sa.flags |= 1 << 5);
	EXPECT_REFUSED(sa.source = here6);
	EXPECT_REFUSED(sa.source_port = 0);
	EXPECT_REFUSED(sa.selectors[1].source_first.bytes[3] = 99);
	EXPECT_REFUSED(sa.selectors[1].source_first.version = 5);
	EXPECT_REFUSED(sa.selectors[0].destination_port_last = 442);
	EXPECT_REFUSED(sa.selectors[0].destination_last.bytes[4] = 1);
#undef EXPECT_REFUSED
}

/* What a policy without protection has no use for. */
static void rejects_a_bypass_with_an_sa(void **state)
{
	struct kmp_policy policy = {
		.direction = KMP_POLICY_INBOUND, .action = KMP_BYPASS, .selector = selector()};
	struct kmp_writer writer;

	kmp_begin(&writer, buffer, sizeof(buffer), KMP_POLICY_ADD, 1, 0);
	kmp_put_policy(&writer, &policy);
	assert_int_equal(kmp_decode(buffer, kmp_end(&writer), &message), KMP_OK);
	assert_int_equal(kmp_get_policy(&message, &policy), KMP_OK);
	kmp_begin(&writer, buffer, sizeof(buffer), KMP_POLICY_ADD, 1, 0);
	kmp_put_policy(&writer, &policy);
	kmp_put_number(&writer, KMP_ATTRIBUTE_SPI, 4, 300);
	assert_int_equal(kmp_decode(buffer, kmp_end(&writer), &message), KMP_OK);
	assert_int_equal(kmp_get_policy(&message, &policy), KMP_BAD_VALUE);
}

static void a_message_that_does_not_fit_is_not_written(void **state)
{
	struct kmp_sa sa = make_sa();
	struct kmp_writer writer;
	size_t whole = write_sa(&sa);

	for (size_t room = 0; room < whole; room++) {
		kmp_begin(&writer, buffer, room, KMP_SA_ADD, 5, 0);
		kmp_put_sa(&writer, &sa);
		assert_int_equal(kmp_end(&writer), 0);
	}
}

static int parse(const char *text, size_t *size)
{
	uint8_t secret[KMP_SECRET_MAX];

	return kmp_secret_parse(text, strlen(text), secret, size);
}

static void takes_secrets_of_one_line(void **state)
{
	uint8_t secret[KMP_SECRET_MAX];
	const char *text = "# made by openssl rand -hex 16\n00112233445566778899aAbBcCdDeEfF \n";
	size_t size = 0;

	assert_int_equal(kmp_secret_parse(text, strlen(text), secret, &size), 0);
	assert_int_equal(size, 16);
	assert_int_equal(secret[15], 0xff);
	assert_int_equal(parse("00112233445566778899aabbccddeeff#x", &size), 0);
	assert_int_equal(parse("", &size), -EINVAL);
	assert_int_equal(parse("# nothing", &size), -EINVAL);
	assert_int_equal(parse("00112233445566778899aabbccddee", &size), -EINVAL);
	assert_int_equal(parse("00112233445566778899aabbccddeef", &size), -EINVAL);
	assert_int_equal(parse("00112233445566778899aabbccddeexx", &size), -EINVAL);
	assert_int_equal(parse("00112233445566778899aabbccddeeff 00", &size), -EINVAL);
	memset(buffer, 'a', 130);
	assert_int_equal(kmp_secret_parse((char *)buffer, 130, secret, &size), -EINVAL);
	assert_int_equal(kmp_secret_parse((char *)buffer, 128, secret, &size), 0);
	assert_int_equal(size, KMP_SECRET_MAX);
}

/* Against a value that Python's hmac has made. */
static void proves_as_others_do(void **state)
{
	static const uint8_t expected[KMP_PROOF_SIZE] = {0x0e, 0xfb, 0x9b, 0x40, 0x41, 0xb2, 0x1c,
		0x9d, 0x85, 0x2d, 0x54, 0xa8, 0x8f, 0xf1, 0x96, 0xd8, 0x8d, 0x23, 0x70, 0x24, 0xa0,
		0x7e, 0x3f, 0xc6, 0x1e, 0xa0, 0xef, 0x5d, 0x6d, 0xcb, 0xf3, 0xef};
	uint8_t secret[16], client[KMP_NONCE_SIZE], server[KMP_NONCE_SIZE], proof[KMP_PROOF_SIZE];

	memset(secret, 0xa5, sizeof(secret));
	memset(client, 1, sizeof(client));
	memset(server, 2, sizeof(server));
	assert_int_equal(kmp_proof(secret, sizeof(secret), KMP_PROVER_CLIENT, client, server,
				 "charon", proof),
		0);
	assert_memory_equal(proof, expected, sizeof(expected));
	assert_int_equal(kmp_proof(secret, sizeof(secret), KMP_PROVER_SERVER, client, server,
				 "charon", proof),
		0);
	assert_memory_not_equal(proof, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(reads_moves_and_policies_that_it_writes),
		cmocka_unit_test(reads_lists_and_numbers_that_it_writes),
		cmocka_unit_test(rejects_each_cut),
		cmocka_unit_test(rejects_wrong_headers),
		cmocka_unit_test(rejects_wrong_attributes),
		cmocka_unit_test(rejects_values_out_of_range),
		cmocka_unit_test(rejects_a_bypass_with_an_sa),
		cmocka_unit_test(a_message_that_does_not_fit_is_not_written),
		cmocka_unit_test(takes_secrets_of_one_line),
		cmocka_unit_test(proves_as_others_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
