-- The database of the first release that had one: a user with the password 'first password', and one peer.
PRAGMA application_id = 1380666704;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE authorized_keys (
                user TEXT NOT NULL REFERENCES users (name),
                line TEXT NOT NULL,
                PRIMARY KEY (user, line)
            ) STRICT, WITHOUT ROWID
            ;
CREATE TABLE component_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO "component_versions" VALUES('users',1);
INSERT INTO "component_versions" VALUES('sealing',1);
INSERT INTO "component_versions" VALUES('keytable',1);
INSERT INTO "component_versions" VALUES('datastores',1);
CREATE TABLE datastore_prefixes (prefix TEXT PRIMARY KEY, namespace TEXT NOT NULL);
INSERT INTO "datastore_prefixes" VALUES('ckt','urn:rkmp:yang:crypto-key-table');
INSERT INTO "datastore_prefixes" VALUES('ds','urn:ietf:params:xml:ns:yang:ietf-datastores');
INSERT INTO "datastore_prefixes" VALUES('inet','urn:ietf:params:xml:ns:yang:ietf-inet-types');
INSERT INTO "datastore_prefixes" VALUES('nc','urn:ietf:params:xml:ns:netconf:base:1.0');
INSERT INTO "datastore_prefixes" VALUES('nacm','urn:ietf:params:xml:ns:yang:ietf-netconf-acm');
INSERT INTO "datastore_prefixes" VALUES('ncm','urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring');
INSERT INTO "datastore_prefixes" VALUES('yanglib','urn:ietf:params:xml:ns:yang:ietf-yang-library');
INSERT INTO "datastore_prefixes" VALUES('yang','urn:ietf:params:xml:ns:yang:ietf-yang-types');
INSERT INTO "datastore_prefixes" VALUES('rkmp','urn:rkmp:yang:rkmp');
INSERT INTO "datastore_prefixes" VALUES('rkmpt','urn:rkmp:yang:rkmp-types');
CREATE TABLE datastore_rows (
                datastore TEXT NOT NULL,
                path TEXT NOT NULL,
                parent TEXT NOT NULL,
                containers TEXT NOT NULL,
                depth INTEGER NOT NULL,
                position INTEGER NOT NULL,
                content TEXT NOT NULL,
                PRIMARY KEY (datastore, path)
            ) WITHOUT ROWID
            ;
INSERT INTO "datastore_rows" VALUES('running','/ckt:key-table','','',1,3145728,'<ckt:key-table></ckt:key-table>');
INSERT INTO "datastore_rows" VALUES('running','/ckt:key-table/ckt:key[ckt:admin-key-name=''manual'']','/ckt:key-table','',2,4194304,'<ckt:key><ckt:admin-key-name>manual</ckt:admin-key-name><ckt:local-key-name>0a</ckt:local-key-name><ckt:peer-key-name>0b</ckt:peer-key-name><ckt:protocol>ckt:bgp</ckt:protocol><ckt:kdf>ckt:hmac-sha-1</ckt:kdf><ckt:alg-id>ckt:hmac-sha-1-96</ckt:alg-id><ckt:keystring sealed="1">AU4scigQVKdtVX0MmdSBZyPYHPj6uC3VwrK1aYwhyY/sS6LWC2oQDER3aubKy9lo5p2W/VJA0hHNFlziUX93BnovMmLXagqy</ckt:keystring><ckt:direction>both</ckt:direction><ckt:send-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:send-lifetime><ckt:accept-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:accept-lifetime><ckt:peer>192.0.2.3</ckt:peer></ckt:key>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp','','',1,5242880,'<rkmp:rkmp><rkmp:local-identity><rkmp:type>fqdn</rkmp:type><rkmp:value>r1.example.net</rkmp:value></rkmp:local-identity><rkmp:credentials></rkmp:credentials></rkmp:rkmp>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:credentials/rkmp:pre-shared-key[rkmp:name=''k'']','/rkmp:rkmp','rkmp:credentials',3,6291456,'<rkmp:pre-shared-key><rkmp:name>k</rkmp:name><rkmp:secret sealed="1">AUsMoB2+lHqK2D3VSMcjwOOMLcYF6PlHJYHoKZl1+AlE0sshv427tzNwyzxxqXpIcdLZoEMbCKJhvLRN7OO2nT5dPDqb2u4W781kVD/Ch4SoWYBN8S01evB/sfCleTJqmGSoxXE7rNMH1qmr2Q==</rkmp:secret></rkmp:pre-shared-key>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:ike-policy[rkmp:name=''p'']','/rkmp:rkmp','',2,7340032,'<rkmp:ike-policy><rkmp:name>p</rkmp:name></rkmp:ike-policy>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']','/rkmp:rkmp','',2,9437184,'<rkmp:peer><rkmp:name>r2</rkmp:name><rkmp:address>192.0.2.2</rkmp:address><rkmp:initiate>never</rkmp:initiate><rkmp:ike-policy>p</rkmp:ike-policy><rkmp:authentication><rkmp:local><rkmp:method>psk</rkmp:method><rkmp:pre-shared-key>k</rkmp:pre-shared-key></rkmp:local><rkmp:remote><rkmp:identity><rkmp:type>fqdn</rkmp:type><rkmp:value>r2.example.net</rkmp:value></rkmp:identity><rkmp:method>psk</rkmp:method><rkmp:pre-shared-key>k</rkmp:pre-shared-key></rkmp:remote></rkmp:authentication></rkmp:peer>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']/rkmp:association[rkmp:protocol=''bgp'']','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']','',3,10485760,'<rkmp:association><rkmp:protocol>bgp</rkmp:protocol><rkmp:proposal>ao</rkmp:proposal></rkmp:association>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','/rkmp:rkmp','',2,8388608,'<rkmp:proposal><rkmp:name>ao</rkmp:name><rkmp:security-protocol>tcp-ao</rkmp:security-protocol></rkmp:proposal>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']/rkmp:transform[rkmp:name=''t1'']','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','',3,1048576,'<rkmp:transform><rkmp:name>t1</rkmp:name><rkmp:auth-alg>hmac-sha-1-96</rkmp:auth-alg><rkmp:kdf>kdf-hmac-sha1</rkmp:kdf></rkmp:transform>');
INSERT INTO "datastore_rows" VALUES('running','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']/rkmp:transform[rkmp:name=''t2'']','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','',3,2097152,'<rkmp:transform><rkmp:name>t2</rkmp:name><rkmp:auth-alg>aes-128-cmac-96</rkmp:auth-alg><rkmp:kdf>kdf-aes-128-cmac</rkmp:kdf></rkmp:transform>');
INSERT INTO "datastore_rows" VALUES('startup','/ckt:key-table','','',1,11534336,'<ckt:key-table></ckt:key-table>');
INSERT INTO "datastore_rows" VALUES('startup','/ckt:key-table/ckt:key[ckt:admin-key-name=''manual'']','/ckt:key-table','',2,12582912,'<ckt:key><ckt:admin-key-name>manual</ckt:admin-key-name><ckt:local-key-name>0a</ckt:local-key-name><ckt:peer-key-name>0b</ckt:peer-key-name><ckt:protocol>ckt:bgp</ckt:protocol><ckt:kdf>ckt:hmac-sha-1</ckt:kdf><ckt:alg-id>ckt:hmac-sha-1-96</ckt:alg-id><ckt:keystring sealed="1">AUpSf/fMIni9kSRcmGXVcSq6c3bp7HOHsHn/anJ8ILNg9NnQJyIN5o1WgYzz4jwQnzPcnTxZ8IahRSuZbu8f/p/Wg1he+/mQ</ckt:keystring><ckt:direction>both</ckt:direction><ckt:send-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:send-lifetime><ckt:accept-lifetime><ckt:start>2026-01-01T00:00:00Z</ckt:start></ckt:accept-lifetime><ckt:peer>192.0.2.3</ckt:peer></ckt:key>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp','','',1,13631488,'<rkmp:rkmp><rkmp:local-identity><rkmp:type>fqdn</rkmp:type><rkmp:value>r1.example.net</rkmp:value></rkmp:local-identity><rkmp:credentials></rkmp:credentials></rkmp:rkmp>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:credentials/rkmp:pre-shared-key[rkmp:name=''k'']','/rkmp:rkmp','rkmp:credentials',3,14680064,'<rkmp:pre-shared-key><rkmp:name>k</rkmp:name><rkmp:secret sealed="1">AVR6tOME2KZORa6fQbrcEoILeWKmpFlq5Fyj2hhGVhWm480ZCijl7vBlSu8+JEzpQbBK70dBFrPZYMLQaPUAvTZiBdvgzkGeVLggYKpp6pUrIUADku0FqPUDgLEnqHMvhC+90vyhd/JNJVWVUQ==</rkmp:secret></rkmp:pre-shared-key>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:ike-policy[rkmp:name=''p'']','/rkmp:rkmp','',2,15728640,'<rkmp:ike-policy><rkmp:name>p</rkmp:name></rkmp:ike-policy>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']','/rkmp:rkmp','',2,19922944,'<rkmp:peer><rkmp:name>r2</rkmp:name><rkmp:address>192.0.2.2</rkmp:address><rkmp:initiate>never</rkmp:initiate><rkmp:ike-policy>p</rkmp:ike-policy><rkmp:authentication><rkmp:local><rkmp:method>psk</rkmp:method><rkmp:pre-shared-key>k</rkmp:pre-shared-key></rkmp:local><rkmp:remote><rkmp:identity><rkmp:type>fqdn</rkmp:type><rkmp:value>r2.example.net</rkmp:value></rkmp:identity><rkmp:method>psk</rkmp:method><rkmp:pre-shared-key>k</rkmp:pre-shared-key></rkmp:remote></rkmp:authentication></rkmp:peer>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']/rkmp:association[rkmp:protocol=''bgp'']','/rkmp:rkmp/rkmp:peer[rkmp:name=''r2'']','',3,20971520,'<rkmp:association><rkmp:protocol>bgp</rkmp:protocol><rkmp:proposal>ao</rkmp:proposal></rkmp:association>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','/rkmp:rkmp','',2,16777216,'<rkmp:proposal><rkmp:name>ao</rkmp:name><rkmp:security-protocol>tcp-ao</rkmp:security-protocol></rkmp:proposal>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']/rkmp:transform[rkmp:name=''t1'']','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','',3,17825792,'<rkmp:transform><rkmp:name>t1</rkmp:name><rkmp:auth-alg>hmac-sha-1-96</rkmp:auth-alg><rkmp:kdf>kdf-hmac-sha1</rkmp:kdf></rkmp:transform>');
INSERT INTO "datastore_rows" VALUES('startup','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']/rkmp:transform[rkmp:name=''t2'']','/rkmp:rkmp/rkmp:proposal[rkmp:name=''ao'']','',3,18874368,'<rkmp:transform><rkmp:name>t2</rkmp:name><rkmp:auth-alg>aes-128-cmac-96</rkmp:auth-alg><rkmp:kdf>kdf-aes-128-cmac</rkmp:kdf></rkmp:transform>');
CREATE TABLE datastore_schema (content_id TEXT NOT NULL);
INSERT INTO "datastore_schema" VALUES('0b22bc40a6dad9baf7f6558b99f0796f');
CREATE TABLE key_encryption_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    check_value BLOB,
    passphrase_salt BLOB
);
INSERT INTO "key_encryption_key" VALUES(1,X'5B9C7A3CBE3CCB1A570FEED97B3CBE1D1F4514F09CF47FD2C5219D0434E3921C',NULL);
CREATE TABLE negotiated_keys (
    admin_key_name TEXT PRIMARY KEY NOT NULL,
    local_key_name TEXT NOT NULL,
    peer_key_name TEXT NOT NULL,
    peers TEXT NOT NULL,
    interfaces TEXT NOT NULL,
    protocol TEXT NOT NULL,
    ignore_tcp_options INTEGER NOT NULL,
    kdf TEXT NOT NULL,
    alg_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    send_start INTEGER NOT NULL,
    send_end INTEGER,
    accept_start INTEGER NOT NULL,
    accept_end INTEGER,
    peer TEXT NOT NULL,
    association TEXT NOT NULL,
    ike_spi_local BLOB NOT NULL,
    ike_spi_remote BLOB NOT NULL,
    negotiated_at INTEGER NOT NULL,
    role TEXT NOT NULL,
    sealed_key BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE users (name TEXT PRIMARY KEY, salt BLOB, password_hash BLOB) STRICT, WITHOUT ROWID;
INSERT INTO "users" VALUES('operator',X'E47496B1F8EF6EBDFAA6F162399F84B9',X'0AEDEE0CF38FC0717BA2FAC6AD6BFA9E84712138F13E265A6E5E8ED5F56E9A49');
COMMIT;
