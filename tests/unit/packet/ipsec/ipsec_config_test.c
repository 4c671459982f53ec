/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `ipsec`, its key file, and what is kept for a next life (D16). */
#include "packet/ipsec/ipsec_config.h"

#include "base/clock.h"
#include "packet/ipsec/sa_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipsec_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define SAS_MAX 64

static struct error error;

static int open_group(void **state)
{
	(void)state;
	return ipsec_bench_start("ipsec_config_test", SAS_MAX);
}

static int flush(void **state)
{
	(void)state;
	sa_flush_owner(SA_OWNER_CONFIGURATION);
	sa_flush_owner(7);
	sa_set_replay_window(0);
	return sa_table_count() == 0 ? 0 : -1;
}

#define SA_DEFAULTS                                                                                \
	"\"request\": 1, \"mode\": \"tunnel\", \"cipher\": \"aes-gcm-16\", \"integrity\": "        \
	"\"none\", \"esn\": false, \"copy-df\": true, \"copy-ecn\": true, \"copy-dscp\": false, "  \
	"\"hard-packets\": 0, \"hard-bytes\": 0, \"hard-time\": 0"
#define POLICY_DEFAULTS                                                                            \
	"\"priority\": 1000, \"protocol\": \"any\", \"local-port\": 0, \"remote-port\": 0, "       \
	"\"mode\": \"tunnel\", \"request\": 1"

static const char document_text[] =
	"{\"gateway\": {\"physical\": \"uplink\"}, \"ipsec\": {\"sas-max\": 16, \"unmatched\": "
	"\"bypass\", \"replay-window\": 256, \"key-file\": \"/keys\", \"sas\": {"
	"\"in\": {\"direction\": \"in\", \"spi\": 4096, \"source\": \"192.0.2.100\", "
	"\"destination\": \"198.51.100.1\", " SA_DEFAULTS "},"
	"\"out\": {\"direction\": \"out\", \"spi\": 4097, \"source\": \"2001:db8::1\", "
	"\"destination\": \"2001:db8::2\", \"source-port\": 4500, \"destination-port\": 4501, "
	"" SA_DEFAULTS ", \"cipher\": \"aes-cbc\", \"integrity\": \"sha2-256-128\", "
	"\"hard-time\": 60000, \"mode\": \"transport\"}},"
	"\"policies\": {\"web\": {\"action\": \"protect\", \"local\": \"198.51.100.1\", "
	"\"remote\": \"192.0.2.0/24\", " POLICY_DEFAULTS ", \"protocol\": \"tcp\", "
	"\"local-port\": 443},"
	"\"rest\": {\"action\": \"bypass\", " POLICY_DEFAULTS "}}}}";

#define KEYS                                                                                       \
	"# static\nin 000102030405060708090a0b0c0d0e0faabbccdd\nother 00\n"                        \
	"out\t00112233445566778899aabbccddeeff "                                                   \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f # both\n"

static struct ipsec_config *read_config(json_t **document)
{
	struct ipsec_config *config;

	*document = json_loads(document_text, 0, NULL);
	assert_non_null(*document);
	if (ipsec_config_read(*document, &config, &error) < 0)
		fail_msg("%s", error.text);
	return config;
}

static void reads_associations_and_policies(void **state)
{
	json_t *document;
	struct ipsec_config *config = read_config(&document);
	const struct sa_parameters *in = &config->sas[0].parameters, *out;
	const struct policy_parameters *policy = config->policies;

	(void)state;
	assert_int_equal(ipsec_config_read_keys(config, KEYS, strlen(KEYS), &error), 0);
	assert_true(config->bypasses);
	assert_string_equal(config->physical, "uplink");
	assert_int_equal(config->sa_count, 2);
	assert_int_equal(in->name.spi, 4096);
	assert_int_equal(in->direction, SA_INBOUND);
	assert_int_equal(in->replay_window, 256);
	assert_int_equal(in->cipher_key_size, 20);
	assert_int_equal(in->cipher_key[19], 0xdd);
	assert_int_equal(network_load32(in->source.bytes), CLIENT);
	assert_false(in->has_encapsulation);
	out = &config->sas[1].parameters;
	assert_int_equal(out->mode, SA_TRANSPORT);
	assert_int_equal(out->name.destination.version, 6);
	assert_true(out->has_encapsulation);
	assert_int_equal(out->destination_port, 4501);
	assert_int_equal(out->lifetime.hard_s, 60);
	assert_int_equal(out->integrity_key_size, 32);
	assert_int_equal(out->integrity_key[31], 0x1f);
	/* web: both directions of IPv4; rest: both of both versions. */
	assert_int_equal(config->policy_count, 6);
	assert_int_equal(policy[0].direction, POLICY_OUTBOUND);
	assert_int_equal(policy[0].selector.source_port_first, 443);
	assert_int_equal(policy[0].selector.source_port_last, 443);
	assert_int_equal(network_load32(policy[0].selector.destination_last.bytes), 0xc00002ff);
	assert_int_equal(policy[1].direction, POLICY_INBOUND);
	assert_int_equal(policy[1].selector.destination_port_first, 443);
	assert_int_equal(network_load32(policy[1].selector.source_first.bytes), 0xc0000200);
	assert_int_equal(policy[2].selector.source_first.version, 4);
	assert_int_equal(policy[4].selector.source_last.version, 6);
	assert_int_equal(policy[4].selector.source_last.bytes[15], 0xff);
	for (size_t i = 0; i < config->sa_count; i++)
		assert_int_equal(sa_check(&config->sas[i].parameters, &error), 0);
	for (size_t i = 0; i < config->policy_count; i++)
		assert_int_equal(policy_add(&policy[i], &error), 0);
	ipsec_config_destroy(config);
	json_decref(document);
}

static void is_off_without_its_section(void **state)
{
	json_t *document = json_object();
	struct ipsec_config *config;

	(void)state;
	assert_int_equal(ipsec_config_read(document, &config, &error), 0);
	assert_null(config);
	json_decref(document);
}

static void refuses_key_files_and_never_quotes_them(void **state)
{
	static const char *const wrong[] = {"", "in\nout 00 00\n", "in 000\n", "in 0g\n",
		"in 00 00 00\n", "in 00\nin 00\n",
		"in 000102030405060708090a0b0c0d0e0faabbccdd\n" /* and none for out */};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		json_t *document;
		struct ipsec_config *config = read_config(&document);

		assert_int_equal(ipsec_config_read_keys(config, wrong[i], strlen(wrong[i]), &error),
			-EINVAL);
		assert_null(strstr(error.text, "0001"));
		assert_null(strstr(error.text, "0g"));
		ipsec_config_destroy(config);
		json_decref(document);
	}
}

/* One key with another salt is another one, since the salt is part of each IV. */
static void refuses_one_key_for_two_associations(void **state)
{
	static const char same[] = "in 000102030405060708090a0b0c0d0e0faabbccdd\n"
				   "out 000102030405060708090a0b0c0d0e0faabbccdd 0102\n",
			  other[] = "in 000102030405060708090a0b0c0d0e0faabbccdd\n"
				    "out 000102030405060708090a0b0c0d0e0faabbccde 0102\n",
			  integrity[] = "in - 0001020304\nout - 0001020304\n",
			  prefix[] = "in 00010203\nout 0001020304\n";
	const struct {
		const char *text;
		int status;
	} cases[] = {{same, -EINVAL}, {other, 0}, {integrity, -EINVAL}, {prefix, 0}};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		json_t *document;
		struct ipsec_config *config = read_config(&document);

		assert_int_equal(ipsec_config_read_keys(
					 config, cases[i].text, strlen(cases[i].text), &error),
			cases[i].status);
		if (cases[i].status < 0) {
			assert_non_null(strstr(error.text, "the same key"));
			assert_null(strstr(error.text, "0001"));
		}
		ipsec_config_destroy(config);
		json_decref(document);
	}
}

/* Two readings of one file make the same SA; another key does not. */
static void tells_associations_that_stay(void **state)
{
	json_t *document, *again_document;
	struct ipsec_config *config = read_config(&document), *again = read_config(&again_document);
	struct sa_parameters described;
	const struct sa *sa;

	(void)state;
	ipsec_config_read_keys(config, KEYS, strlen(KEYS), &error);
	ipsec_config_read_keys(again, KEYS, strlen(KEYS), &error);
	sa_set_replay_window(256);
	assert_int_equal(sa_add(&config->sas[0].parameters, &error), 0);
	sa = sa_find(&config->sas[0].parameters.name);
	sa_describe(sa, &described);
	assert_true(sa_parameters_are_equal(&described, &again->sas[0].parameters));
	assert_false(sa_parameters_are_equal(&described, &again->sas[1].parameters));
	((uint8_t *)secret_bytes(again->keys))[3] ^= 1;
	assert_false(sa_parameters_are_equal(&described, &again->sas[0].parameters));
	ipsec_config_destroy(config);
	ipsec_config_destroy(again);
	json_decref(document);
	json_decref(again_document);
}

/* D16: another option of the same key: its numbers, window and IVs go on. */
static void goes_on_with_a_key_that_stays(void **state)
{
	json_t *document;
	struct ipsec_config *config = read_config(&document);
	uint64_t sent_max, iv_base;
	struct sa *in, *out;

	(void)state;
	ipsec_config_read_keys(config, KEYS, strlen(KEYS), &error);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sa_put(&config->sas[i].parameters, &error), 0);
	in = sa_find(&config->sas[0].parameters.name);
	out = sa_find(&config->sas[1].parameters.name);
	in->window.highest = 1234;
	sent_max = out->sequence_max;
	iv_base = out->iv_base;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sa_put(&config->sas[i].parameters, &error), 0);
		assert_ptr_equal(sa_find(&config->sas[i].parameters.name), i ? out : in);
		config->sas[i].parameters.copies_dscp = true;
		assert_int_equal(sa_put(&config->sas[i].parameters, &error), 0);
	}
	assert_true(sa_find(&config->sas[0].parameters.name)->window.highest >= 1234);
	out = sa_find(&config->sas[1].parameters.name);
	assert_true(out->copies_dscp && out->sequence >= sent_max && out->iv_base == iv_base);
	((uint8_t *)secret_bytes(config->keys))[3] ^= 1;
	assert_int_equal(sa_put(&config->sas[0].parameters, &error), 0);
	assert_int_equal(sa_find(&config->sas[0].parameters.name)->window.highest, 0);
	ipsec_config_destroy(config);
	json_decref(document);
}

/* D16: the clock was right when the file was written, or is now. */
static void refuses_keys_of_the_future(void **state)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_int_equal(futimens(fileno(file), times), 0);
	assert_int_equal(ipsec_config_check_clock(fileno(file), &error), 0);
	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec += 3600;
	assert_int_equal(futimens(fileno(file), times), 0);
	assert_int_equal(ipsec_config_check_clock(fileno(file), &error), -ESTALE);
	assert_int_equal(ipsec_config_check_clock(-1, &error), -EBADF);
	fclose(file);
}

/* D16: as if the clock had been an hour ahead when the SA was made, and was set back since. */
static void begins_no_iv_again_when_the_clock_was_set_back(void **state)
{
	json_t *document;
	struct ipsec_config *config = read_config(&document);
	struct sa_past past = {.iv_base = clock_wall_ns() + 3600 * CLOCK_NS_PER_S};
	struct sa_parameters *out = &config->sas[1].parameters;
	struct sa_state *kept;
	uint64_t beyond;
	int fd;

	(void)state;
	ipsec_config_read_keys(config, KEYS, strlen(KEYS), &error);
	assert_int_equal(sa_add_with_past(out, &past, &error), 0);
	sa_find(&out->name)->sequence_max = 5000;
	beyond = past.iv_base + 5000;
	assert_int_equal(sa_delete(&out->name, &error), 0);
	/* Another life of the role knows it, too. */
	assert_int_equal(sa_state_write(&fd, &kept, &error), 0);
	sa_state_destroy(kept);
	sa_table_close();
	assert_int_equal(sa_table_open(SAS_MAX, &error), 0);
	assert_int_equal(sa_state_restore_from(fd, &error), 0);
	close(fd);
	assert_int_equal(sa_add(out, &error), 0);
	assert_true(sa_find(&out->name)->iv_base > beyond);
	sa_delete(&out->name, &error);
	ipsec_config_destroy(config);
	json_decref(document);
}

/* ---- the next life ---- */

static struct sa *add(enum sa_direction direction, bool has_esn, uint32_t spi)
{
	static struct reference reference;
	static const struct sa_selector selector = {.source_first = {.version = 4},
		.source_last = {.version = 4, .bytes = {255, 255, 255, 255}},
		.destination_first = {.version = 4},
		.destination_last = {.version = 4, .bytes = {255, 255, 255, 255}},
		.source_port_last = UINT16_MAX,
		.destination_port_last = UINT16_MAX};
	struct sa_parameters parameters;

	reference = make_reference(&suites[1], has_esn);
	reference.spi = spi;
	parameters = make_parameters(&reference, direction);
	parameters.lifetime.soft_packets = 1000;
	parameters.selectors = &selector;
	parameters.selector_count = 1;
	assert_int_equal(sa_add(&parameters, &error), 0);
	return sa_find(&parameters.name);
}

static void *state_bytes(int fd, size_t *size)
{
	struct stat info;
	uint8_t *copy;
	void *memory;

	assert_int_equal(fstat(fd, &info), 0);
	*size = (size_t)info.st_size;
	memory = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	copy = malloc(*size);
	memcpy(copy, memory, *size);
	munmap(memory, *size);
	return copy;
}

/* D16: no number is sent again, none is accepted again, and IVs go on. */
static void comes_back_from_what_was_kept(void **state)
{
	struct sa *out = add(SA_OUTBOUND, true, 5000), *in = add(SA_INBOUND, true, 6000);
	struct policy_parameters policy = {.direction = POLICY_OUTBOUND,
		.action = POLICY_PROTECT,
		.mode = SA_TRANSPORT,
		.request = 1,
		.spi = 4000,
		.owner = 7};
	struct sa_name out_name = out->name, in_name = in->name;
	uint64_t iv_base = out->iv_base, sent_max;
	struct sa_state *kept;
	int fd;

	(void)state;
	policy.selector = in->selectors[0];
	assert_int_equal(policy_add(&policy, &error), 0);
	policy.spi = 5000;
	assert_int_equal(policy_add(&policy, &error), 0);
	out->sequence = (7ULL << 32) + 12345;
	out->sequence_max = out->sequence + 10;
	out->counters.packets = 999;
	in->window.highest = (3ULL << 32) + 77;
	assert_int_equal(sa_state_write(&fd, &kept, &error), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE, F_SEAL_WRITE);
	sa_state_kept(kept);
	sent_max = out->sequence_max;
	assert_true(sent_max > (7ULL << 32) + 12345 + 10);
	sa_state_destroy(kept);
	sa_flush_owner(7);
	assert_int_equal(sa_state_restore_from(fd, &error), 2);
	close(fd);
	out = sa_find(&out_name);
	in = sa_find(&in_name);
	assert_non_null(out);
	assert_non_null(in);
	assert_true(out->sequence >= sent_max);
	assert_int_equal(out->sequence_max, out->sequence);
	assert_int_equal(out->iv_base, iv_base);
	assert_int_equal(out->counters.packets, 999);
	assert_int_equal(out->lifetime.soft_packets, 1000);
	assert_int_equal(out->selector_count, 1);
	assert_int_equal(in->window.floor, (3ULL << 32) + 77);
	assert_int_equal(policy_count(), 1);
	assert_ptr_equal(policy_first()->sa, out);
	assert_int_equal(policy_first()->references->spi, 5000);
	assert_int_equal(policy_first()->references->next->spi, 4000);
}

static void takes_no_state_that_is_not_its_own(void **state)
{
	struct sa_state *kept;
	uint8_t *bytes;
	size_t size;
	int fd;

	(void)state;
	add(SA_OUTBOUND, false, 5000);
	assert_int_equal(sa_state_write(&fd, &kept, &error), 0);
	sa_state_destroy(kept);
	bytes = state_bytes(fd, &size);
	close(fd);
	sa_flush_owner(7);
	for (size_t cut = 0; cut < size; cut++)
		assert_true(sa_state_restore(bytes, cut) <= 0);
	for (size_t at = 0; at < 16; at++) {
		bytes[at] ^= 1;
		assert_int_equal(sa_state_restore(bytes, size), -EINVAL);
		bytes[at] ^= 1;
	}
	assert_int_equal(sa_table_count(), 0);
	assert_int_equal(sa_state_restore(bytes, size), 1);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(reads_associations_and_policies, flush),
		cmocka_unit_test_teardown(is_off_without_its_section, flush),
		cmocka_unit_test_teardown(refuses_key_files_and_never_quotes_them, flush),
		cmocka_unit_test_teardown(tells_associations_that_stay, flush),
		cmocka_unit_test_teardown(goes_on_with_a_key_that_stays, flush),
		cmocka_unit_test_teardown(refuses_one_key_for_two_associations, flush),
		cmocka_unit_test_teardown(refuses_keys_of_the_future, flush),
		cmocka_unit_test_teardown(begins_no_iv_again_when_the_clock_was_set_back, flush),
		cmocka_unit_test_teardown(comes_back_from_what_was_kept, flush),
		cmocka_unit_test_teardown(takes_no_state_that_is_not_its_own, flush),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
