/**
 * A certificate for `localhost` that it has signed itself, and its key, which protects nothing: made with
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost`.
 */
export const cert = `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUKcmlbqNFcrb94oXdWGHLQzaLLNkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAxMTUxOFoYDzIxMjYxMDI4
MDExNTE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARCO4jLxFd9u7iDegnLx9OWEJ/+qEFzbwL8CWGJv9802Uk4WMXU3/D1
nQWTO4sLkRVumIJbN/d4x/kVPctOcEuSo2kwZzAdBgNVHQ4EFgQUuhgqRnbBfVA4
1ptuQkz7zdZ4YjkwHwYDVR0jBBgwFoAUuhgqRnbBfVA41ptuQkz7zdZ4YjkwFAYD
VR0RBA0wC4IJbG9jYWxob3N0MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SQAwRgIhALmK1lKHJ/BR1zoEZ8vh8zil8lvF8A/pAi2DH4CZverYAiEAqHU7JFwh
aJx9d7wwp2WoPNFoSkVtkPxsXrB1kSc+9bU=
-----END CERTIFICATE-----
`;

export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg10vj3JDP6oHgNxcf
GPguZwQeDonjzzM0xBJ1UJUWAZChRANCAARCO4jLxFd9u7iDegnLx9OWEJ/+qEFz
bwL8CWGJv9802Uk4WMXU3/D1nQWTO4sLkRVumIJbN/d4x/kVPctOcEuS
-----END PRIVATE KEY-----
`;
