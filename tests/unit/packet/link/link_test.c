/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/link/link.h"

#include "base/error.h"
#include "packet/engine/pool.h"
#include "wire/checksum.h"
#include "wire/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../inspect/bench.h"

static struct link_table table;
static struct port port = {.index = 3, .mac = {2, 0, 0, 0, 0, 3}};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 9};

static int open_group(void **state)
{
	(void)state;
	return bench_start("link_test");
}

static void set_ends(uint8_t version)
{
	struct link_end *end = &table.ends[LINK_CLIENT];

	memset(&table, 0, sizeof(table));
	end->is_used = true;
	end->port = port.index;
	end->local = (struct ip_address){version, {10, 0, 0, 1, [15] = version == 6}};
	end->peer_count = 1;
	end->peers[0].address = (struct ip_address){version, {10, 0, 0, 2, [15] = version == 6}};
	end->peers[0].hop = end->peers[0].address;
}

static struct rte_mbuf *ask(const struct link_end *end, const uint8_t mac[6])
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);

	assert_true(link_write_question(packet, end, &end->peers[0], mac));
	return packet;
}

/* Two ends that are each other's peer: what one asks the other answers, and the one learns. */
static void asks_answers_and_learns(void **state)
{
	struct decoded decoded;
	uint8_t mac[6];

	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		struct link_table other = {0};
		struct port other_port = {.index = 5};
		struct rte_mbuf *packet;

		set_ends(version);
		memcpy(other_port.mac, peer_mac, sizeof(peer_mac));
		other.ends[LINK_APPLIANCE].is_used = true;
		other.ends[LINK_APPLIANCE].port = other_port.index;
		other.ends[LINK_APPLIANCE].local = table.ends[LINK_CLIENT].peers[0].address;
		assert_false(link_peer_mac(&table.ends[LINK_CLIENT].peers[0], mac));
		packet = ask(&table.ends[LINK_CLIENT], port.mac);
		assert_true(link_resolve(&other, &other_port, packet));
		assert_int_equal(decode_frame(rte_pktmbuf_mtod(packet, uint8_t *), packet->data_len,
					 &decoded),
			DECODE_OK);
		assert_true(checksum_is_right(&decoded));
		assert_memory_equal(rte_pktmbuf_mtod(packet, uint8_t *), port.mac, 6);
		assert_false(link_resolve(&table, &port, packet));
		assert_true(link_peer_mac(&table.ends[LINK_CLIENT].peers[0], mac));
		assert_memory_equal(mac, peer_mac, 6);
		rte_pktmbuf_free(packet);
	}
}

static void answers_for_nobody_else_and_on_no_other_port(void **state)
{
	struct port other_port = {.index = 4};

	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		struct rte_mbuf *packet;

		set_ends(version);
		packet = ask(&table.ends[LINK_CLIENT], peer_mac); /* for the peer's address */
		assert_false(link_resolve(&table, &port, packet));
		rte_pktmbuf_free(packet);
		table.ends[LINK_CLIENT].peers[0].hop = table.ends[LINK_CLIENT].local;
		packet = ask(&table.ends[LINK_CLIENT], peer_mac);
		assert_false(link_resolve(&table, &other_port, packet));
		assert_true(link_resolve(&table, &port, packet));
		rte_pktmbuf_free(packet);
	}
}

static void keeps_a_configured_address(void **state)
{
	struct link_peer peer = {.is_static = false};
	uint8_t mac[6];

	(void)state;
	link_learn_mac(&peer, peer_mac);
	peer.is_static = true;
	link_learn_mac(&peer, port.mac);
	assert_true(link_peer_mac(&peer, mac));
	assert_memory_equal(mac, peer_mac, 6);
	peer.is_static = false;
	link_learn_mac(&peer, (const uint8_t[6]){1, 0, 0, 0, 0, 1}); /* a group */
	link_peer_mac(&peer, mac);
	assert_memory_equal(mac, peer_mac, 6);
}

static int parse(const char *text, struct link_keys *keys, struct error *error)
{
	return link_keys_parse(text, strlen(text), keys, error);
}

static void reads_one_or_two_keys(void **state)
{
	struct link_keys keys;
	struct error error;

	(void)state;
	assert_int_equal(parse("# of the link\n\n 7\t000102030405060708090A0B0C0D0E0F # now\r\n"
			       "255 ffffffffffffffffffffffffffffffff",
				 &keys, &error),
		0);
	assert_int_equal(keys.count, 2);
	assert_int_equal(keys.keys[0].id, 7);
	assert_int_equal(keys.keys[0].bytes[15], 15);
	assert_int_equal(keys.keys[1].id, 255);
}

static void refuses_files_without_keys_and_never_quotes_them(void **state)
{
	static const char *const wrong[] = {"", "# nothing\n", "1\n",
		"1 00010203040506070809aabbccddee\n", "1 000102030405060708090a0b0c0d0e0f00\n",
		"256 000102030405060708090a0b0c0d0e0f\n", "000102030405060708090a0b0c0d0e0f\n",
		"1 000102030405060708090a0b0c0d0e0f\n1 000102030405060708090a0b0c0d0e0f\n",
		("1 000102030405060708090a0b0c0d0e0f\n2 000102030405060708090a0b0c0d0e0f\n"
		 "3 000102030405060708090a0b0c0d0e0f\n")};
	struct link_keys keys;
	struct error error;

	(void)state;
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		assert_int_equal(parse(wrong[i], &keys, &error), -EINVAL);
		assert_int_equal(keys.count, 0);
		assert_null(strstr(error.text, "0001"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_answers_and_learns),
		cmocka_unit_test(answers_for_nobody_else_and_on_no_other_port),
		cmocka_unit_test(keeps_a_configured_address),
		cmocka_unit_test(reads_one_or_two_keys),
		cmocka_unit_test(refuses_files_without_keys_and_never_quotes_them),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
