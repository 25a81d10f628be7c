<#
.SYNOPSIS
The contacts that the service watches, as objects, all pages of them.
.DESCRIPTION
PWS_KEY is an API key with the scope read, where one is needed. With -Follow (PowerShell 7) the list is written again
whenever it has changed: the service answers then, or says after a minute that nothing has.
.EXAMPLE
./Get-Presence.ps1 | Where-Object available | Sort-Object display_name | Format-Table
.EXAMPLE
./Get-Presence.ps1 -Group support -Follow
#>
param(
    [string] $Url = 'http://127.0.0.1:8000',
    [string] $Group,
    [switch] $Follow
)
$ErrorActionPreference = 'Stop'
$headers = @{}
if ($env:PWS_KEY) { $headers['Authorization'] = "Bearer $env:PWS_KEY" }
$list = "$Url/v1/presence?limit=1000&fields=display_name,state,activities,available,reason,freshness"
if ($Group) { $list += '&group=' + [uri]::EscapeDataString($Group) }

if (-not $Follow) {
    $cursor = $null
    do {
        $page = if ($cursor) { $list + '&cursor=' + [uri]::EscapeDataString($cursor) } else { $list }
        $answer = Invoke-RestMethod -Uri $page -Headers $headers
        $answer.contacts
        $cursor = $answer.next_cursor
    } while ($cursor)
    return
}

$ask = @{
    Uri = $list
    Headers = $headers
    SkipHttpErrorCheck = $true
    StatusCodeVariable = 'status'
    ResponseHeadersVariable = 'received'
}
while ($true) {
    $answer = Invoke-RestMethod @ask
    if ($status -eq 200) {
        $headers['If-None-Match'] = $received['ETag'][0]
        $headers['Prefer'] = 'wait=60'
        $answer.contacts | Format-Table 'contact', 'state', 'available', 'freshness'
    } elseif ($status -ne 304) {
        throw "HTTP ${status}: $($answer.detail)"
    }
}
